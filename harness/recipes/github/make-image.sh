#!/usr/bin/env bash
# Make windows.qcow2, once, on a Linux machine with KVM and Docker: an unattended installation of Windows, at
# whose end install.bat makes it ready for the debugger. The image is yours; whoever gets it needs a licence.
# Written by `procnotify new ci --github`. Lines that end in "not verified" were never seen to run.
set -euo pipefail
cd "$(dirname "$0")"

# Boot settings, print filter, test certificate, the guest helper as a service on COM2.
procnotify prepare lab.yaml --host-ip 10.0.2.2 --serve COM2 --print oem

# dockur/windows runs /oem/install.bat at the end of the installation and ends when Windows shuts down.
printf 'shutdown /s /t 60\r\n' >> oem/install.bat # not verified
docker run --rm --device /dev/kvm --cap-add NET_ADMIN --stop-timeout 120 \
  --env VERSION=11 --env DISK_SIZE=40G \
  --volume "$PWD/oem:/oem" --volume "$PWD/storage:/storage" dockurr/windows # not verified
qemu-img convert -c -O qcow2 storage/data.img windows.qcow2 # not verified
echo "vm/windows.qcow2 is ready: store it, and set the secret WINDOWS_IMAGE_URL to where it is"
