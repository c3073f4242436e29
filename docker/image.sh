#!/bin/bash
# Build the image from this tree. `make docker-image` calls it. Its settings are environment variables:
#   VARIANT  cpu (default) or cuda            ENGINE      docker (default), podman or buildah
#   IMAGE    the image's name                 BASE        (optional) the base image
#   MMCV_OPS 1 (default) or 0                 JOBS        (optional) compilers at a time
#   TORCH_LOCK  a lock under requirements/ for torch and torchvision. VARIANT=cpu needs one: torch-cpu.lock, if not another
#   PIP_CONF    (optional) pip's settings: indexes, mirrors, certificates
# Exit codes: 0; 2 bad settings, in one or two lines; else the engine's own.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

refuse() {
    echo "image.sh: $1" >&2
    exit 2
}

: "${VARIANT:=cpu}" "${ENGINE:=docker}" "${IMAGE:=}" "${BASE:=}" "${MMCV_OPS:=1}" "${TORCH_LOCK:=}" "${PIP_CONF:=}" "${JOBS:=2}"
case "$VARIANT" in cpu | cuda) ;; *) refuse "VARIANT: cpu or cuda, not '$VARIANT'" ;; esac
case "$MMCV_OPS" in 0 | 1) ;; *) refuse "MMCV_OPS: 0 or 1, not '$MMCV_OPS'" ;; esac
if [ "$VARIANT" = cpu ] && [ -z "$TORCH_LOCK" ]; then
    TORCH_LOCK=torch-cpu.lock
    [ -f "$here/../requirements/$TORCH_LOCK" ] || refuse "VARIANT=cpu needs requirements/$TORCH_LOCK, or another by TORCH_LOCK: \
torch's wheels for the CPU alone are in PyTorch's own wheel index (\"whl/cpu\"); name it in PIP_CONF, and make the lock by
the \`uv pip compile\` command in docker/README.md. Or take VARIANT=cuda, which serves machines without a GPU too and is about 4 GB larger"
fi
[ -z "$TORCH_LOCK" ] || [ -f "$here/../requirements/$TORCH_LOCK" ] || refuse "TORCH_LOCK: requirements/$TORCH_LOCK: no such file"
[ -z "$PIP_CONF" ] || [ -f "$PIP_CONF" ] || refuse "PIP_CONF: $PIP_CONF: no such file"
command -v "$ENGINE" >/dev/null || refuse "ENGINE: $ENGINE: not found; install it, or name another: ENGINE=podman"

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$here/../scenebench/__init__.py")
commit=$(git -C "$here" rev-parse HEAD 2>/dev/null || echo unknown)
# Files that are not in the commit would be in the image all the same; results are not.
[ "$commit" = unknown ] || [ -z "$(git -C "$here/.." status --porcelain -- . ':!results')" ] || commit+=-changed
[ -n "$IMAGE" ] || IMAGE=scenebench:$version-$VARIANT

build=("$ENGINE" build --file "$here/Dockerfile" --tag "$IMAGE")
for pair in "VARIANT=$VARIANT" "MMCV_OPS=$MMCV_OPS" "TORCH_LOCK=$TORCH_LOCK" "JOBS=$JOBS" "VERSION=$version" "COMMIT=$commit"; do
    build+=(--build-arg "$pair")
done
[ -z "$BASE" ] || build+=(--build-arg "BASE=$BASE")
[ -z "$PIP_CONF" ] || build+=(--secret "id=pip,src=$PIP_CONF")
# BUILD_OPTIONS: more words for the engine, such as --isolation chroot or a mount of a certificate.
read -r -a options <<<"${BUILD_OPTIONS:-}"
DOCKER_BUILDKIT=1 "${build[@]}" "${options[@]}" "$here/.."
echo "$IMAGE: built from $commit"
