#!/bin/sh
# deps.sh PACKAGE...: installs Debian packages as root or by sudo, or prints the one line to run and stops.
[ $# -eq 0 ] && exit 0
set -e
install="apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $*"
if [ "$(id -u)" = 0 ]; then
    become=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    become="sudo -n"
else
    echo "kin needs packages; run this line, then the same make again:" >&2
    echo "  sudo apt-get install $*" >&2
    exit 1
fi
echo "installing: $*" >&2
export DEBIAN_FRONTEND=noninteractive
# Package lists may be old or missing: then they are fetched first.
$become $install >/dev/null 2>&1 || {
    $become apt-get -qq -o DPkg::Lock::Timeout=300 update >&2
    $become $install >/dev/null
}
