#!/bin/sh
# Installs ccretain for Linux or macOS: picks the archive for this machine, checks it, and puts the program in place.
#
#   sh install.sh                   from where this script came from
#   CCRETAIN_FROM=DIR sh install.sh    from a folder, or another address, with SHA256SUMS and the archives
#   CCRETAIN_TO=DIR sh install.sh      into this folder; else /usr/local/bin for root, ~/.local/bin for others
#
# It schedules nothing and changes no shell's settings: what it did is printed at the end.
set -eu

# Filled in by packaging/release: where the release lies, and the publisher's SSH key that signed SHA256SUMS.
from=${CCRETAIN_FROM:-'@DOWNLOAD@'}
key='@KEY@'

die() { echo "install.sh: $*" >&2; exit 1; }
case $from in @*) die "say where the release lies: CCRETAIN_FROM=DIR sh install.sh" ;; esac

case $(uname -s) in
  Linux) system=unknown-linux-musl ;;
  Darwin) system=apple-darwin ;;
  *) die "there is no program for $(uname -s)" ;;
esac
case $(uname -m) in
  x86_64 | amd64) machine=x86_64 ;;
  aarch64 | arm64) machine=aarch64 ;;
  *) die "there is no program for $(uname -m); build it with cargo install" ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch() { # fetch NAME
  case $from in
    https://*) curl -fsSL --proto '=https' -o "$work/$1" "$from/$1" ;;
    *://*) die "only https:// and folders are read, not $from" ;;
    *) cp "$from/$1" "$work/$1" ;;
  esac || die "there is no $1 in $from"
}
fetch SHA256SUMS
case $key in
  @*) echo "install.sh: this copy has no publisher's key: only the sum is checked" >&2 ;;
  *)
    command -v ssh-keygen >/dev/null || die "ssh-keygen is missing, which checks the signature: install openssh-client"
    fetch SHA256SUMS.sig
    echo "release $key" >"$work/signers"
    ssh-keygen -Y verify -f "$work/signers" -I release -n ccretain-release -s "$work/SHA256SUMS.sig" \
      <"$work/SHA256SUMS" >/dev/null || die "SHA256SUMS is not signed by the publisher: nothing was installed" ;;
esac
line=$(grep "  ccretain-[0-9.]*-$machine-$system\.tar\.gz$" "$work/SHA256SUMS") || die "no archive for $machine-$system in $from"
archive=${line#*  }
fetch "$archive"
(cd "$work" && echo "$line" | { sha256sum -c - 2>/dev/null || shasum -a 256 -c -; } >/dev/null) ||
  die "$archive is not what SHA256SUMS says: nothing was installed"
tar -xzf "$work/$archive" -C "$work"

if [ "$(id -u)" = 0 ]; then to=/usr/local/bin; else to=$HOME/.local/bin; fi
to=${CCRETAIN_TO:-$to}
mkdir -p "$to"
install -m 755 "$work/${archive%.tar.gz}/ccretain" "$to/.ccretain.new" && mv "$to/.ccretain.new" "$to/ccretain"
echo "$("$to/ccretain" --version) is installed as $to/ccretain. Nothing is scheduled; look first: ccretain status"
case :$PATH: in *:"$to":*) ;; *) echo "$to is not in PATH yet: add it in your shell's profile" ;; esac
