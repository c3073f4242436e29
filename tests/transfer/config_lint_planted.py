"""Mistakes that people make when they fine-tune a self-supervised backbone, each planted in a sound configuration.

Each is (what it is, old text, new text); the old text stands once in the configuration.
"""

from __future__ import annotations

DETECTRON2 = """\
MODEL:
  META_ARCHITECTURE: GeneralizedRCNN
  WEIGHTS: moco_v2_r50.pkl
  MASK_ON: true
  PIXEL_MEAN: [123.675, 116.28, 103.53]
  PIXEL_STD: [58.395, 57.12, 57.375]
  BACKBONE:
    NAME: build_resnet_fpn_backbone
    FREEZE_AT: 0
  FPN:
    IN_FEATURES: [res2, res3, res4, res5]
    NORM: SyncBN
  RESNETS:
    DEPTH: 50
    NORM: SyncBN
    STRIDE_IN_1X1: false
    OUT_FEATURES: [res2, res3, res4, res5]
  ROI_HEADS:
    NAME: StandardROIHeads
    NUM_CLASSES: 20
INPUT:
  FORMAT: RGB
  MIN_SIZE_TRAIN: (640, 672, 704, 736, 768, 800)
  CROP:
    ENABLED: true
    TYPE: absolute
    SIZE: [384, 384]
DATASETS:
  TRAIN: ("voc_2007_trainval", "voc_2012_trainval")
  TEST: ("voc_2007_test",)
SOLVER:
  IMS_PER_BATCH: 16
  BASE_LR: 0.02
  STEPS: (18000, 22000)
  MAX_ITER: 24000
TEST:
  PRECISE_BN:
    ENABLED: true
VERSION: 2
"""

_TO_FREEZE_AT = DETECTRON2[DETECTRON2.index("  WEIGHTS") : DETECTRON2.index("  FPN")]
DETECTRON2_MISTAKES = [
    ("images as BGR", "FORMAT: RGB", "FORMAT: BGR"),
    ("format left at the default", "  FORMAT: RGB\n", ""),
    ("mean in BGR order", "[123.675, 116.28, 103.53]", "[103.53, 116.28, 123.675]"),
    ("std in BGR order", "[58.395, 57.12, 57.375]", "[57.375, 57.12, 58.395]"),
    ("mean of 0-1", "[123.675, 116.28, 103.53]", "[0.485, 0.456, 0.406]"),
    ("std of 0-1", "[58.395, 57.12, 57.375]", "[0.229, 0.224, 0.225]"),
    ("std of ones", "[58.395, 57.12, 57.375]", "[1.0, 1.0, 1.0]"),
    ("std left at the default", "  PIXEL_STD: [58.395, 57.12, 57.375]\n", ""),
    ("mean left at the default", "  PIXEL_MEAN: [123.675, 116.28, 103.53]\n", ""),
    ("mean of zeros", "[123.675, 116.28, 103.53]", "[0.0, 0.0, 0.0]"),
    ("mean of one value", "[123.675, 116.28, 103.53]", "[118.0]"),
    ("mean of four values", "[123.675, 116.28, 103.53]", "[123.675, 116.28, 103.53, 0.0]"),
    ("stride in the 1x1", "STRIDE_IN_1X1: false", "STRIDE_IN_1X1: true"),
    ("stride left at the default", "    STRIDE_IN_1X1: false\n", ""),
    ("stride's key in another case", "STRIDE_IN_1X1", "STRIDE_IN_1x1"),
    ("FrozenBN", "    NORM: SyncBN\n    STRIDE", "    NORM: FrozenBN\n    STRIDE"),
    ("norm left at the default", "    NORM: SyncBN\n    STRIDE", "    STRIDE"),
    ("GroupNorm", "    NORM: SyncBN\n    STRIDE", "    NORM: GN\n    STRIDE"),
    ("no norm", "    NORM: SyncBN\n    STRIDE", "    NORM: ''\n    STRIDE"),
    ("two stages frozen", "FREEZE_AT: 0", "FREEZE_AT: 2"),
    ("FREEZE_AT left at the default", "    FREEZE_AT: 0\n", ""),
    ("FREEZE_AT misspelt", "FREEZE_AT", "FREEZE_ATT"),
    ("FPN without norm", "    NORM: SyncBN\n  RESNETS", "  RESNETS"),
    ("R101 under weights of R50", "DEPTH: 50", "DEPTH: 101"),
    ("ResNeXt under weights of a ResNet", "DEPTH: 50", "DEPTH: 50\n    NUM_GROUPS: 32"),
    ("wide groups", "DEPTH: 50", "DEPTH: 50\n    WIDTH_PER_GROUP: 128"),
    ("RESNETS written twice", "INPUT:", "  RESNETS:\n    DEPTH: 50\nINPUT:"),
    ("RESNETS misspelt", "  RESNETS:", "  RESNET:"),
    ("WEIGHTS misspelt", "WEIGHTS: moco", "WEIGHT: moco"),
    ("MSRA's weights left", "moco_v2_r50.pkl", "detectron2://ImageNetPretrained/MSRA/R-50.pkl"),
    ("a .pth without heuristics", "moco_v2_r50.pkl", "moco_v2_r50.pth"),
    ("no weights and frozen stages", _TO_FREEZE_AT, _TO_FREEZE_AT.replace("moco_v2_r50.pkl", "''").replace("0", "2")),
    ("80 classes for VOC", "NUM_CLASSES: 20", "NUM_CLASSES: 80"),
    ("classes left at the default", "    NUM_CLASSES: 20\n", ""),
    ("21 classes for VOC", "NUM_CLASSES: 20", "NUM_CLASSES: 21"),
    ("a step past the end", "(18000, 22000)", "(18000, 30000)"),
    ("steps out of order", "(18000, 22000)", "(22000, 18000)"),
    ("steps left at the default", "  STEPS: (18000, 22000)\n", ""),
    ("a shorter training with the old steps", "MAX_ITER: 24000", "MAX_ITER: 12000"),
    ("batch of 4 at the rate for 16", "IMS_PER_BATCH: 16", "IMS_PER_BATCH: 4"),
    ("rate ten times too high", "BASE_LR: 0.02", "BASE_LR: 0.2"),
    ("a crop beyond the images", "[384, 384]", "[1024, 1024]"),
    ("a relative crop of pixels", "TYPE: absolute", "TYPE: relative"),
    ("a base that is not there", "MODEL:\n", "_BASE_: ../Base-RCNN-FPN-SSL.yaml\nMODEL:\n"),
    ("PreciseBN off", "ENABLED: true\nVERSION", "ENABLED: false\nVERSION"),
    ("MAX_ITER misspelt", "MAX_ITER", "MAX_ITERS"),
]

SEGMENTOR = """\
default_scope = 'mmseg'
norm_cfg = dict(type='SyncBN', requires_grad=True)
crop_size = (512, 512)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=crop_size)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    pretrained=None,
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        norm_cfg=norm_cfg,
        norm_eval=False,
        frozen_stages=-1,
        style='pytorch',
        contract_dilation=True,
        init_cfg=dict(type='Pretrained', checkpoint='moco_v2_r50.pth', prefix='backbone.')),
    decode_head=dict(
        type='FCNHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        num_classes=21,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
dataset_type = 'PascalVOCDataset'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(type=dataset_type, data_root='data/VOC2012', pipeline=train_pipeline))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=20000, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2000)
load_from = None
"""

DETECTOR = """\
default_scope = 'mmdet'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='MaskRCNN',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32),
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='moco_v2_r50.pth', prefix='backbone.')),
    neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=5, norm_cfg=norm_cfg),
    roi_head=dict(
        type='StandardRoIHead',
        bbox_head=dict(type='Shared2FCBBoxHead', num_classes=80),
        mask_head=dict(type='FCNMaskHead', num_classes=80)))
train_dataloader = dict(batch_size=2, dataset=dict(type='CocoDataset'))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
load_from = None
"""

_INIT = "init_cfg=dict(type='Pretrained', checkpoint='moco_v2_r50.pth', prefix='backbone.')"
_TO_INIT = SEGMENTOR[SEGMENTOR.index("frozen_stages") : SEGMENTOR.index(_INIT) + len(_INIT)]
SEGMENTOR_MISTAKES = [
    ("images as BGR", "bgr_to_rgb=True", "bgr_to_rgb=False"),
    ("channel order left at the default", "    bgr_to_rgb=True,\n", ""),
    ("mean in BGR order", "[123.675, 116.28, 103.53]", "[103.53, 116.28, 123.675]"),
    ("std in BGR order", "[58.395, 57.12, 57.375]", "[57.375, 57.12, 58.395]"),
    ("statistics of 0-1", "[123.675, 116.28, 103.53]", "[0.485, 0.456, 0.406]"),
    ("std of 0-1", "[58.395, 57.12, 57.375]", "[0.229, 0.224, 0.225]"),
    ("no statistics at all", "    mean=[123.675, 116.28, 103.53],\n    std=[58.395, 57.12, 57.375],\n", ""),
    ("mean of one value", "[123.675, 116.28, 103.53]", "127.5"),
    ("the deep stem of the stock base", "type='ResNet'", "type='ResNetV1c'"),
    ("caffe style", "style='pytorch'", "style='caffe'"),
    ("avg_down of V1d", "depth=50,", "depth=50,\n        avg_down=True,"),
    ("R101 under weights of R50", "depth=50", "depth=101"),
    ("ResNeXt under weights of a ResNet", "type='ResNet'", "type='ResNeXt', groups=32, base_width=4"),
    ("norms frozen", "requires_grad=True", "requires_grad=False"),
    ("norm_eval", "norm_eval=False", "norm_eval=True"),
    ("GroupNorm", "'SyncBN', requires_grad=True", "'GN', num_groups=32, requires_grad=True"),
    ("another epsilon", "requires_grad=True)", "requires_grad=True, eps=1e-3)"),
    ("a frozen stage", "frozen_stages=-1", "frozen_stages=1"),
    ("frozen_stages misspelt", "frozen_stages=-1", "freeze_stages=-1"),
    ("the prefix forgotten", ", prefix='backbone.'", ""),
    ("init_cfg of another type", "type='Pretrained'", "type='Kaiming'"),
    ("init_cfg without type", "type='Pretrained', ", ""),
    ("pretrained beside init_cfg", "pretrained=None", "pretrained='torchvision://resnet50'"),
    ("no weights and a frozen stage", _TO_INIT, _TO_INIT.replace("-1", "1").replace(_INIT, "init_cfg=None")),
    ("dilations left out", "        dilations=(1, 1, 2, 4),\n", ""),
    ("channels of R18", "in_channels=2048", "in_channels=512"),
    ("20 classes for VOC", "num_classes=21", "num_classes=20"),
    ("19 classes of Cityscapes left", "num_classes=21", "num_classes=19"),
    ("another data set under the old head", "'PascalVOCDataset'", "'ADE20KDataset'"),
    ("an ignored label of 0", "num_classes=21,", "num_classes=21,\n        ignore_index=0,"),
    ("batches padded to another size", "size=crop_size)", "size=(512, 1024))"),
    ("a crop beyond the images", "scale=(2048, 512)", "scale=(1024, 256)"),
    ("a stride beyond the window", "stride=(341, 341)", "stride=(683, 683)"),
    ("a longer training with the old schedule", "max_iters=20000", "max_iters=40000"),
    ("a schedule in epochs", "by_epoch=False", "by_epoch=True"),
    ("a batch of 16 at the old rate", "batch_size=4", "batch_size=16"),
    ("rate ten times too high", "lr=0.01", "lr=0.1"),
    ("train_cfg twice", "load_from = None", "train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)"),
    ("load_from of a whole model", "load_from = None", "load_from = 'fcn_r50_voc.pth'"),
]
DETECTOR_MISTAKES = [
    ("FPN without norm", "num_outs=5, norm_cfg=norm_cfg", "num_outs=5"),
    ("norm_eval left at the default", "        norm_eval=False,\n", ""),
    ("80 classes for VOC", "'CocoDataset'", "'VOCDataset'"),
    ("20 classes for COCO", "'Shared2FCBBoxHead', num_classes=80", "'Shared2FCBBoxHead', num_classes=20"),
    ("classes of the file, not of the heads", "'CocoDataset'", "'CocoDataset', metainfo=dict(classes=('a', 'b'))"),
    ("a milestone past the end", "milestones=[8, 11]", "milestones=[16, 22]"),
    ("milestones out of order", "milestones=[8, 11]", "milestones=[11, 8]"),
    ("milestones in iterations", "by_epoch=True", "by_epoch=False"),
    ("a shorter training with the old milestones", "max_epochs=12", "max_epochs=8"),
    ("a batch of 8 at the old rate", "batch_size=2", "batch_size=8"),
    ("channels of R18", "[256, 512, 1024, 2048]", "[64, 128, 256, 512]"),
    ("depth of R18", "depth=50", "depth=18"),
    ("std of ones", "[58.395, 57.12, 57.375]", "[1.0, 1.0, 1.0]"),
    ("a dict key twice", "depth=50,", "depth=50, **{'style': 'caffe', 'style': 'pytorch'},"),
]
