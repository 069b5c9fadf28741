#!/usr/bin/env bash
# Install what Debian has of the things that tests need beside Python; nothing where all is there.
set -euo pipefail

packages=()
command -v make >/dev/null || packages+=(make)
[ -n "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || command -v initdb >/dev/null || packages+=(postgresql)
# a command that emulated boards, stand-in libraries or pages in a browser need, and the package that has it
for need in ip=iproute2 mmdebstrap=mmdebstrap qemu-aarch64-static=qemu-user-static \
    chromium=chromium shellcheck=shellcheck ssh=openssh-client sshd=openssh-server update-binfmts=binfmt-support cc=gcc; do
    command -v "${need%%=*}" >/dev/null || packages+=("${need#*=}")
done
if [ ${#packages[@]} -gt 0 ]; then
    apt-get update --quiet
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "${packages[@]}"
fi
