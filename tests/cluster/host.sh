# Process 1 of a simulated host: gives it a root of its own over this machine's files, and becomes its sshd.
#   sh host.sh NAME DISK KNOWN SHARED PROJECT VENV PYTHON
# DISK holds what the host has written, /tmp and /run aside, so that it is the same host when it is started again.
set -e
name=$1 disk=$2 known=$3 shared=$4 project=$5 venv=$6 python=$7
mount --make-rprivate /
root=$disk/root
mkdir -p "$disk/upper" "$disk/work" "$disk/venv" "$disk/venv_work" "$disk/home" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" host "$root"
mkdir -p "$root/shared" "$root/old"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 host "$root/dev/shm"
mount -t tmpfs -o mode=755 host "$root/run"
mount -t tmpfs -o mode=1777 host "$root/tmp"
mount --bind "$disk/home" "$root/root"
mount --bind "$shared" "$root/shared"
mkdir -p "$root$project"  # not there if the checkout lies in a temporary folder or on another disk than /
mount -t tmpfs host "$root$project"  # the host has the project that was copied to it, and not this one
mkdir -p "$root$python" "$root$venv" "$root/root/stridefold-venv" "$root/run/sshd"
mount --bind "$python" "$root$python"
mount -t overlay -o "lowerdir=$venv,upperdir=$disk/venv,workdir=$disk/venv_work" host "$root$venv"
mount --bind "$root$venv" "$root/root/stridefold-venv"
hostname "$name"

if [ ! -e "$root/root/.bashrc" ]; then
  chmod 700 "$root/root"
  cp "$known/../hosts" "$root/etc/hosts"
  mkdir -m 700 "$root/root/.ssh"
  cp "$known/$name/"* "$root/root/.ssh/"
  chmod 600 "$root/root/.ssh/"*
  # As after an installation on this host: the project is the copied one, and nothing is newer than the installation.
  find "$root$venv/lib" -maxdepth 3 -name '_editable_impl_stridefold.pth' -exec sh -c 'echo /root/stridefold > "$1"' sh {} \;
  touch -d '+1 day' "$root$venv/.installed"
  echo "export PATH=$python/bin:\$PATH" > "$root/root/.bashrc"
  [ "$name" = head ] || echo "export RAY_OVERRIDE_RESOURCES='{\"CPU\": 1}'" >> "$root/root/.bashrc"
fi

cd "$root"
pivot_root . old
umount -l /old
if [ "$name" = laptop ]; then exec sleep infinity; fi
exec /usr/sbin/sshd -D -e -f /root/.ssh/sshd_config
