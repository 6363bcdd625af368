#!/bin/sh
# The project on a Debian with Python and make and nothing else, as root: sh tests/fresh/run.sh readme|image [SUITE]
#   readme   the README's two commands, by a user without privileges: make demo, and make test with the tests that TESTS names
#   image    what the container's definitions do: containers/install.sh, then a search by user 1000 in another folder
# pip finds packages as it does on this machine: its configuration, and the folders that it names, are the root's too.
set -eu
steps=$1 suite=${2:-bookworm} mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
[ "$(id -u)" = 0 ] || { echo "a Debian of its own needs root; run make fresh-test as root" >&2; exit 1; }
command -v debootstrap > /dev/null || { echo "debootstrap is missing; apt-get install -y debootstrap" >&2; exit 1; }
cd "$(dirname "$0")/../.."
folder=$(mktemp -d "${TMPDIR:-/var/tmp}/stridefold-fresh-XXXXXX")
root=$folder/root
trap 'rm -rf --one-file-system "$folder"' EXIT
trap 'exit 1' INT TERM

seconds() { echo "$(($(date +%s) - started)) s"; }
started=$(date +%s)
debootstrap --variant=minbase --include=ca-certificates,make,python3,python3-venv "$suite" "$root" "$mirror" > "$folder/log" 2>&1 ||
  { tail -n 20 "$folder/log" >&2; exit 1; }
echo "Debian $(cat "$root/etc/debian_version") with $(chroot "$root" python3 --version) and make: $(seconds)"

chroot "$root" useradd --uid 1000 --create-home user
project=$root/home/user/stridefold
mkdir "$project"
git ls-files -z --cached --others --exclude-standard | xargs -0 sh -c 'for f; do [ ! -f "$f" ] || printf "%s\0" "$f"; done' sh |
  tar --create --null --files-from - | tar --extract --directory "$project"
chroot "$root" chown -R user:user /home/user/stridefold
for file in /etc/resolv.conf /etc/pip.conf /etc/xdg/pip /etc/ssl/certs/ca-certificates.crt; do
  [ ! -e "$file" ] || { mkdir -p "$root${file%/*}"; cp -rL "$file" "$root${file%/*}/"; }
done
# The folders that the configuration names: /opt/wheels; of file:///opt/index/simple also the files next to it.
folders=$(python3 -m pip config list | grep -oE "(file://)?/[^' ]+" | sed -e 's,^file://,,' -e 's,/simple/*$,,' | sort -u)
pip=$(env | grep '^PIP_' | sed "s/.*/'&'/" | tr '\n' ' ')

# In namespaces of its own, whose processes and mounts end with it.
cat > "$folder/inside" << 'END'
root=$1; shift
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for folder in $FOLDERS; do
  [ ! -d "$folder" ] || { mkdir -p "$root$folder"; mount --bind -o ro "$folder" "$root$folder"; }
done
exec chroot "$@"
END
within() { # USER COMMAND
  home=/home/user
  [ "$1" = user ] || home=/root
  eval FOLDERS='"$folders"' unshare -m -p --fork --kill-child sh '"$folder/inside"' '"$root"' --userspec='"$1"' '"$root"' \
    env -i HOME=$home LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin RAY_USAGE_STATS_ENABLED=0 "$pip" sh -euc '"$2"'
}
tests=${TESTS-tests/test_readme.py tests/test_wording.py tests/test_constraints.py tests/platform/test_platform_name.py tests/platform/test_next_step.py}
tiny='--plain --trials 1 --folds 2 --frames 2 --baselines none --set optimizer.steps=4'

started=$(date +%s)
if [ "$steps" = readme ]; then
  within user 'cd ~/stridefold && make --no-print-directory install'
  echo "make install, as a user without privileges: $(seconds)"
  started=$(date +%s)
  within user 'cd ~/stridefold && make --no-print-directory demo && test -s studies/simulated-diagnosis/report.html'
  echo "make demo: $(seconds)"
  started=$(date +%s)
  within user "cd ~/stridefold && make --no-print-directory test TESTS='$tests'"
  echo "make test TESTS='$tests': $(seconds)"
else
  within root 'TORCH_INDEX= sh /home/user/stridefold/containers/install.sh cpu && du -sh /opt/stridefold'
  echo "containers/install.sh cpu: $(seconds)"
  started=$(date +%s)
  within user "export PATH=/opt/stridefold/bin:\$PATH; mkdir ~/elsewhere; cd ~/elsewhere; stridefold --version &&
    stridefold search --subjects 6 --study fresh $tiny && test -s studies/fresh/report.html"
  echo "a search with a report: $(seconds)"
fi
