"""What a protocol's toolbox needs beyond the default environment, asked before anything is trained."""

from __future__ import annotations

from benchmarks.protocols.protocol import Protocol, SegmentationProtocol


def require_toolbox(protocol: Protocol) -> None:
    """Stop where ``protocol`` cannot run here. Costs nothing for protocols that the default environment runs.

    Raises:
        UserError: naming the make target that installs what is missing.
    """
    if protocol.toolbox == "mmdetection":
        from transfer.exporters.mmcv_ops import require_mmdet

        require_mmdet(f"protocol '{protocol.id}'")
    elif isinstance(protocol, SegmentationProtocol) and protocol.settings.head == "psanet":
        from transfer.exporters.mmcv_ops import require_mmcv_ops

        require_mmcv_ops(f"protocol '{protocol.id}' (settings.head psanet)")
