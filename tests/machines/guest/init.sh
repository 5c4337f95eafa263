#!/bin/busybox sh
# The guest's first process, in two lives: from the initramfs it loads the drivers and changes to the disk; there
# it starts the virtual target and, once that dials, what a host can reach it by.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
say() { echo "guest: $* ($(/bin/busybox cut -d' ' -f1 /proc/uptime) s)" >/dev/console; }

mount_kernel_folders() {
  /bin/busybox mount -t proc proc /proc
  /bin/busybox mount -t sysfs sysfs /sys
  /bin/busybox mount -t devtmpfs devtmpfs /dev
}

if [ -d /modules ]; then
  mount_kernel_folders
  for module in $(/bin/busybox cat /modules/order); do
    /bin/busybox insmod "/modules/$module"
  done
  /bin/busybox mount -t ext4 -o rw,noatime /dev/vda /root
  /bin/busybox umount /proc /sys /dev
  exec /bin/busybox switch_root /root /sbin/init
fi

mount_kernel_folders
/bin/busybox mkdir -p /dev/pts
/bin/busybox mount -t devpts devpts /dev/pts
/bin/busybox mount -t tmpfs tmpfs /run
/bin/busybox mkdir -p /run/sshd /run/procnotify
/bin/busybox ip link set lo up
# Unicorn maps a gigabyte for translated code and uses little of it.
echo 1 >/proc/sys/vm/overcommit_memory
# The first network is KDNET's, the second is for commands: QEMU's user networks 10.0.2.0/24, where the host is
# 10.0.2.2, and 10.0.3.0/24.
if [ -e /sys/class/net/eth0 ]; then
  /bin/busybox ip address add 10.0.2.15/24 dev eth0
  /bin/busybox ip link set eth0 up
fi
if [ -e /sys/class/net/eth1 ]; then
  /bin/busybox ip address add 10.0.3.15/24 dev eth1
  /bin/busybox ip link set eth1 up
fi

# kd=CONNECTION on the kernel's command line, and helper=DEVICE where the guest helper serves a serial port.
for word in $(/bin/busybox cat /proc/cmdline); do
  case $word in
    kd=*) kd=${word#kd=} ;;
    helper=*) helper=${word#helper=} ;;
  esac
done
say "starting the virtual target"
/opt/python/bin/python3 -E -s /opt/guest/target.py /run/target.sock 10.0.2.2 "$kd" >/dev/console 2>&1 &
while [ ! -S /run/target.sock ]; do /bin/busybox sleep 0.2; done
say "the virtual target dials"

if [ -n "$helper" ]; then
  /opt/python/bin/python3 -E -s /opt/guest/serialhelper.py "$helper" >/dev/console 2>&1 &
fi
[ -e /sys/class/net/eth1 ] && /usr/sbin/sshd -f /etc/ssh/sshd_config
port=/dev/virtio-ports/org.qemu.guest_agent.0
for name in /sys/class/virtio-ports/*/name; do
  [ -e "$name" ] || continue
  if [ "$(/bin/busybox cat "$name")" = org.qemu.guest_agent.0 ]; then
    device=${name%/name}
    /bin/busybox mkdir -p /dev/virtio-ports
    /bin/busybox ln -s "/dev/${device##*/}" $port
    /usr/sbin/qemu-ga -m virtio-serial -p $port -t /run -f /run/qga.pid >/dev/console 2>&1 &
  fi
done
say "up"
while :; do /bin/busybox sleep 3600; done
