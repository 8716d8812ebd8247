#!/usr/bin/env bash
# Fetches into build-guest what a test makes a bootable Linux disk from: Debian's cloud kernel with
# the modules of its disk, busybox, and GRUB for a BIOS. Unpacked, not installed: a kernel of its
# own would be booted by the machine, too. May be repeated: what is there already is kept.
set -euo pipefail
cd "$(dirname "$0")/.."

directory=build-guest
[ ! -e "$directory/vmlinuz" ] || exit 0
rm -rf "$directory" "$directory.part"
mkdir -p "$directory.part/packages"
trap 'rm -rf "$directory.part"' EXIT
cd "$directory.part/packages"

# The package that names the newest kernel, and that kernel's.
kernel_package() {
  apt-cache depends --important linux-image-cloud-amd64 |
    sed -n 's/^ *Depends: \(linux-image-.*-cloud-amd64\)$/\1/p' | head -n 1
}

fetch() {
  local kernel
  kernel=$(kernel_package)
  [ -n "$kernel" ] || return 1
  # apt's own user cannot write here, which apt remarks on when root asks.
  apt-get -q=2 -o Acquire::Retries=3 -o APT::Sandbox::User=root \
    download "$kernel" busybox-static grub-pc-bin >/dev/null
}

# Lists of packages grow old: an archive keeps only the newest.
if ! fetch; then
  apt-get -q=2 -o Acquire::Retries=3 update
  fetch
fi
for package in *.deb; do dpkg-deb --extract "$package" files; done

mkdir guest guest/modules
find files/lib/modules -name 'virtio*.ko' -exec cp {} guest/modules/ \;
cp files/bin/busybox guest/
cp -R files/usr/lib/grub/i386-pc guest/grub
cp files/boot/vmlinuz-* guest/vmlinuz
cd ../..
mv "$directory.part/packages/guest" "$directory"
