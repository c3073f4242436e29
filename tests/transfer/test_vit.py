"""Vision transformers: timm's own network, its maps, its backbone file, and what refuses it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import timm
import torch
import torch.nn.functional as F
from torch import Tensor
from transfer_helpers import MakeBackbone

from scenebench.errors import TransferError, UserError
from transfer.backbone_file import BackboneInfo, load_backbone, load_network, read_info, save_backbone
from transfer.cli import add_commands
from transfer.exporters import torchvision as to_torchvision
from transfer.exporters.detectron2 import build as to_detectron2
from transfer.exporters.detectron2 import files as detectron2_files
from transfer.exporters.mmseg import build as to_mmseg
from transfer.exporters.mmseg import files as mmseg_files
from transfer.networks.network import build_network, parse_architecture, require_resnet
from transfer.networks.output_stride import set_output_stride
from transfer.networks.resnet import Architecture
from transfer.networks.vit import VisionTransformer
from transfer.networks.vit_architecture import VitArchitecture
from transfer.verify import compare

TINY = VitArchitecture(width=32, depth=3, heads=4, patch=8, image_size=64)


def lively_vit(seed: int = 0, architecture: VitArchitecture = TINY) -> VisionTransformer:
    """Weights large enough that attention is far from uniform; norms and biases that are not their initial values."""
    torch.manual_seed(seed)
    network = VisionTransformer(architecture)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("qkv.weight"):
                parameter.normal_(std=0.4)
            elif parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


@pytest.fixture(scope="module")
def network() -> VisionTransformer:
    return lively_vit()


@pytest.fixture(scope="module")
def vit_file(network: VisionTransformer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vit") / "tiny.safetensors"
    save_backbone(path, network.state_dict(), BackboneInfo(TINY, method="moco", branch="query"))
    return path


def random_images(height: int = 64, width: int = 64, count: int = 2) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


# --- timm's network -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "values"),
    [
        ("vit_tiny_patch16_224", {"width": 192, "heads": 3}),
        ("vit_small_patch16_224", {}),
        ("vit_small_patch32_384", {"patch": 32, "image_size": 384}),
        ("vit_base_patch8_224", {"width": 768, "heads": 12, "patch": 8}),
    ],
)
def test_names_and_tensors_are_timms(size: str, values: dict[str, int]) -> None:
    architecture = VitArchitecture(**values)  # type: ignore[arg-type]
    assert architecture.name == size
    with torch.device("meta"):
        ours = build_network(architecture).state_dict()
        theirs = timm.create_model(size, num_classes=0).state_dict()
    assert [(name, t.shape) for name, t in ours.items()] == [(name, t.shape) for name, t in theirs.items()]


def test_a_timm_checkpoint_loads_as_it_is_and_computes_the_same_bits() -> None:
    torch.manual_seed(4)
    theirs = timm.create_model("vit_small_patch16_224", num_classes=0).eval()
    ours = build_network(VitArchitecture()).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = random_images(224, 224, 1)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))
        tokens = theirs.forward_features(images)
        assert torch.equal(ours.feature_map(images).flatten(2).transpose(1, 2), tokens[:, 1:])
        assert torch.equal(ours(images), tokens[:, 0])  # the class token after the last norm


def test_another_size_is_what_timms_interpolation_gives(network: VisionTransformer) -> None:
    """timm's static model at the new size, its position embeddings resampled once on loading."""
    keys = {"embed_dim": 32, "depth": 3, "num_heads": 4, "patch_size": 8, "num_classes": 0}
    theirs = timm.models.VisionTransformer(img_size=64, **keys).eval()
    theirs.load_state_dict(network.state_dict())
    for height, width in ((96, 96), (64, 128), (32, 32)):
        theirs.set_input_size(img_size=(64, 64))
        theirs.load_state_dict(network.state_dict())
        theirs.set_input_size(img_size=(height, width))
        images = random_images(height, width)
        with torch.no_grad():
            torch.testing.assert_close(network(images), theirs(images))
            assert network.feature_map(images).shape == (2, 32, height // 8, width // 8)
            assert network.attention_map(images).shape == (2, height // 8, width // 8)


def test_the_embeddings_are_interpolated_bicubically(network: VisionTransformer) -> None:
    """Against the formula: patches + resampled grid; the class token's own embedding untouched."""
    images = random_images(96, 48)
    with torch.no_grad():
        found = network.stage_features(images)["embedding"]
        projection = network.patch_embed.proj
        patches = F.conv2d(images, projection.weight, projection.bias, stride=8).flatten(2).transpose(1, 2)
        grid = network.pos_embed[:, 1:].reshape(1, 8, 8, 32).permute(0, 3, 1, 2)
        resampled = F.interpolate(grid, size=(12, 6), mode="bicubic", antialias=True).flatten(2).transpose(1, 2)
        expected = torch.cat([(network.cls_token + network.pos_embed[:, :1]).expand(2, -1, -1), patches + resampled], 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_sizes_that_do_not_divide_are_refused(network: VisionTransformer) -> None:
    for call in (network, network.feature_map, network.attention_map, network.stage_features):
        with pytest.raises(UserError, match=r"64 x 60 pixels do not divide into its patches of 8.*multiple of 8"):
            call(random_images(64, 60))


def test_stage_features(network: VisionTransformer) -> None:
    images = random_images(64, 96)
    with torch.no_grad():
        features = network.stage_features(images)
        assert tuple(features) == TINY.stages == ("embedding", "block1", "block2", "block3", "norm")
        assert all(tokens.shape == (2, 97, 32) for tokens in features.values())
        x = features["embedding"]
        for number, block in enumerate(network.blocks, start=1):
            x = block(x)
            assert torch.equal(features[f"block{number}"], x)
        assert torch.equal(features["norm"], network.norm(x))
        assert torch.equal(features["norm"][:, 0], network(images))
    assert not network.norm._forward_hooks  # nothing is left behind


# --- attention ----------------------------------------------------------------------------------------------------


def slow_attention(network: VisionTransformer, images: Tensor) -> np.ndarray:
    """The last block's class-token row, head by head and patch by patch, in float64."""
    with torch.no_grad():
        before = network.stage_features(images)[f"block{TINY.depth - 1}"].double().numpy()
    block = network.blocks[-1]
    weight, bias = (getattr(block.attn.qkv, name).detach().double().numpy() for name in ("weight", "bias"))
    scale, shift = (getattr(block.norm1, name).detach().double().numpy() for name in ("weight", "bias"))
    head_dim = TINY.width // TINY.heads
    maps = []
    for tokens in before:
        mean, variance = tokens.mean(axis=1, keepdims=True), tokens.var(axis=1, keepdims=True)
        normal = (tokens - mean) / np.sqrt(variance + block.norm1.eps) * scale + shift
        total = np.zeros(len(tokens))
        for head in range(TINY.heads):
            rows = slice(head * head_dim, (head + 1) * head_dim)
            query = weight[:32][rows] @ normal[0] + bias[:32][rows]
            scores = [query @ (weight[32:64][rows] @ token + bias[32:64][rows]) / np.sqrt(head_dim) for token in normal]
            weights = np.exp(np.array(scores) - max(scores))
            total += weights / weights.sum() / TINY.heads
        maps.append(total[1:].reshape(images.shape[2] // 8, images.shape[3] // 8))
    return np.stack(maps)


@pytest.mark.parametrize("size", [(64, 64), (40, 72)])
def test_attention_maps_equal_the_slow_oracle(network: VisionTransformer, size: tuple[int, int]) -> None:
    images = random_images(*size)
    with torch.no_grad():
        found = network.attention_map(images)
    assert found.dtype == torch.float32
    expected = slow_attention(network, images)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-6)
    assert float(expected.max() / expected.min()) > 10  # far from uniform
    sums = found.sum(dim=(1, 2))
    assert bool((found >= 0).all())
    assert bool((sums < 1).all())
    assert bool((sums > 0.5).all())


def test_attention_is_what_timms_unfused_attention_forms(network: VisionTransformer) -> None:
    """With fused attention off, timm forms the matrix; its dropout layer sees it."""
    images = random_images()
    attention = network.blocks[-1].attn
    seen: list[Tensor] = []
    handle = attention.attn_drop.register_forward_hook(lambda module, inputs, output: seen.append(output))
    fused, attention.fused_attn = attention.fused_attn, False
    try:
        with torch.no_grad():
            network(images)
    finally:
        attention.fused_attn = fused
        handle.remove()
    with torch.no_grad():
        found = network.attention_map(images)
    torch.testing.assert_close(found.flatten(1), seen[0].mean(dim=1)[:, 0, 1:])


def test_attention_is_float32_under_autocast(network: VisionTransformer) -> None:
    images = random_images()
    with torch.no_grad():
        exact = network.attention_map(images)
        with torch.autocast("cpu", torch.bfloat16):
            found = network.attention_map(images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, atol=0.02, rtol=0.3)


# --- the backbone file --------------------------------------------------------------------------------------------


def test_round_trip(network: VisionTransformer, vit_file: Path) -> None:
    info, loaded = load_network(vit_file)
    assert info.architecture == TINY == read_info(vit_file).architecture
    assert not loaded.training
    assert loaded.state_dict().keys() == network.state_dict().keys()
    images = random_images(72, 64)
    with torch.no_grad():
        assert torch.equal(loaded(images), network(images))


def test_the_header_of_a_resnet_is_what_it_was(make_backbone: MakeBackbone) -> None:
    """Files written before there were vision transformers are read unchanged, and new ones by older versions."""
    with safetensors.safe_open(make_backbone(), framework="pt") as file:
        header = json.loads(file.metadata()["scenebench"])
    assert header["format_version"] == 1
    assert header["architecture"] == {
        "family": "resnet",
        "depth": 18,
        "stem_width": 16,
        "stem": "conv7x7",
        "stride_in": "3x3",
    }
    assert parse_architecture(header["architecture"], "here") == Architecture(depth=18, stem_width=16)
    assert parse_architecture({"depth": 18}, "here") == Architecture(depth=18)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"family": "swin"}, r"architecture\): family: unknown value 'swin'"),
        ({"stem_width": 64}, "unknown key 'stem_width'"),
        ({"heads": 5}, "5 heads do not divide a width of 32"),
        ({"patch": 7}, "64 does not divide into patches of 7"),
        ({"depth": 0}, "architecture.depth: 0"),
        ({"depth": 4}, "not the 54 tensors of a vit_w32d4h4_patch8_64: 12 missing: blocks.3"),
        ({"image_size": 32}, r"of another shape: pos_embed \(1, 65, 32\) instead of \(1, 17, 32\)"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    vit_file: Path, change: dict[str, object], told: str, tmp_path: Path
) -> None:
    with safetensors.safe_open(vit_file, framework="pt") as file:
        metadata = json.loads(file.metadata()["scenebench"])
    metadata["architecture"].update(change)
    tensors = load_backbone(vit_file)[1]
    safetensors.torch.save_file(tensors, tmp_path / "b", metadata={"scenebench": json.dumps(metadata)})
    with pytest.raises((UserError, TransferError), match=told):
        load_backbone(tmp_path / "b")


# --- verify -------------------------------------------------------------------------------------------------------


def test_verify_a_vision_transformer(network: VisionTransformer, vit_file: Path, tmp_path: Path) -> None:
    comparison = compare(vit_file, vit_file)
    assert comparison.same
    assert [(row.stage, row.equal) for row in comparison.stages] == [
        ("embedding", 4),
        ("block1", 12),
        ("block2", 12),
        ("block3", 12),
        ("norm", 2),
    ]
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tensors["blocks.1.mlp.fc1.weight"][0, 0] += 0.5
    save_backbone(tmp_path / "b.safetensors", tensors, BackboneInfo(TINY))
    changed = compare(vit_file, tmp_path / "b.safetensors")
    assert not changed.same
    assert [row.same for row in changed.stages] == [True, True, False, True, True]
    assert [row.feature_difference == 0 for row in changed.stages] == [True, True, False, False, False]
    assert "block2        12    12     11" in changed.table()


def test_a_vision_transformer_and_a_resnet_differ(vit_file: Path, make_backbone: MakeBackbone) -> None:
    comparison = compare(vit_file, make_backbone())
    assert not comparison.same
    assert [row.stage for row in comparison.stages] == [*TINY.stages, "stem", "layer1", "layer2", "layer3", "layer4"]
    assert all(row.feature_difference is None for row in comparison.stages)
    assert "architecture: VitArchitecture" in comparison.table()


def test_patches_that_do_not_divide_the_reference_image_are_compared(tmp_path: Path) -> None:
    architecture = VitArchitecture(width=8, depth=1, heads=2, patch=14, image_size=28)
    path = tmp_path / "b.safetensors"
    save_backbone(path, lively_vit(architecture=architecture).state_dict(), BackboneInfo(architecture))
    assert compare(path, path).same


# --- what takes ResNets only --------------------------------------------------------------------------------------

REFUSED = "takes ResNets only, and this backbone is a vit_w32d3h4_patch8_64; give a ResNet, or evaluate this with a"


@pytest.mark.parametrize("toolbox", [detectron2_files, mmseg_files, to_torchvision])
def test_exports_refuse(toolbox: object, vit_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=REFUSED) as caught:
        toolbox.export(vit_file, tmp_path / "out")  # type: ignore[attr-defined]
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_configurations_and_loaders_refuse(vit_file: Path) -> None:
    info, model = read_info(vit_file), torch.nn.Identity()
    for refused in (
        lambda: to_detectron2.weight_dependent_keys(info),
        lambda: to_detectron2.load_and_prove(model, vit_file, None),
        lambda: to_mmseg.backbone_config(info),
        lambda: to_mmseg.load_and_prove(model, vit_file),
        lambda: to_torchvision.prove(model, vit_file),
        lambda: require_resnet(info.architecture, "this"),
        lambda: set_output_stride(load_network(vit_file)[1], 8),  # type: ignore[arg-type]
    ):
        with pytest.raises(UserError, match=REFUSED):
            refused()
    assert require_resnet(Architecture(), "this") == Architecture()


@pytest.mark.parametrize("target", ["detectron2", "mmseg", "torchvision"])
def test_the_command_refuses_before_it_imports_a_toolbox(target: str, vit_file: Path, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    args = parser.parse_args(["export", str(vit_file), "--to", target, "--out", str(tmp_path / "out")])
    with pytest.raises(UserError, match=f"--to {target} {REFUSED}"):
        args.run(args)


def test_resnets_need_no_timm() -> None:
    code = (
        "import sys; sys.modules['timm'] = None\n"
        "from transfer.networks.network import build_network\n"
        "from transfer.networks.resnet import Architecture\n"
        "import pretrain.methods, transfer.verify, benchmarks.classification.run\n"
        "build_network(Architecture(depth=18, stem_width=8))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- ResNets of other sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [  # torchvision's documented counts without the classifier; 50x2: SimCLR and BYOL print 94 M
        (Architecture(depth=18), 11_689_512 - 513_000),
        (Architecture(depth=50), 25_557_032 - 2_049_000),
        (Architecture(depth=101), 44_549_160 - 2_049_000),
        (Architecture(depth=50, stem_width=128), 93_907_072),
        (VitArchitecture(), 22_050_664 - 385_000),
    ],
)
def test_parameter_counts(architecture: Architecture | VitArchitecture, parameters: int) -> None:
    with torch.device("meta"):
        network = build_network(architecture)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert architecture.feature_dim == {"resnet18": 512, "resnet50w128": 4096, "vit_small_patch16_224": 384}.get(
        architecture.name, 2048
    )
