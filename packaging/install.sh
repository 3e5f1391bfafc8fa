#!/bin/sh
# Installs ccretain for Linux or macOS: picks the archive for this machine, checks it, and puts the program in place.
#
#   sh install.sh                      from where this script came from; nothing is scheduled
#   CCRETAIN_FROM=DIR sh install.sh    from a folder, or another address, with SHA256SUMS and the archives
#   CCRETAIN_TO=DIR sh install.sh      into this folder; else /usr/local/bin for root, ~/.local/bin for others
set -eu
# Filled in by packaging/release: where the release lies, and the publisher's SSH key that signed SHA256SUMS.
from=${CCRETAIN_FROM:-'@DOWNLOAD@'}
key='@KEY@'
die() { echo "install.sh: $*; nothing was installed" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
fetch() { # fetch NAME
  case $from in
    https://*) if has curl; then curl -fsSLo "$work/$1" --proto =https "$from/$1"; else wget -qO "$work/$1" "$from/$1"; fi ;;
    *) cp "$from/$1" "$work/$1" ;;
  esac || die "there is no $1 in '$from', or it cannot be read"
}
main() { # Called by the last line, so that half of this script does nothing.
  case $from in
    @*) die "say where the release lies: CCRETAIN_FROM=DIR sh install.sh" ;;
    https://*) has curl || has wget || die "curl and wget are missing: install one of them" ;;
    *://*) die "only https:// and folders are read, not '$from'" ;;
  esac
  case $(uname -sm) in
    'Linux x86_64') target=x86_64-unknown-linux-musl ;;
    'Linux aarch64') target=aarch64-unknown-linux-musl ;;
    'Darwin x86_64') target=x86_64-apple-darwin ;;
    'Darwin arm64') target=aarch64-apple-darwin ;;
    *) die "there is no program for $(uname -sm)" ;;
  esac
  if has sha256sum; then check=sha256sum; else check='shasum -a 256'; fi
  has "${check%% *}" || die "sha256sum is missing, which checks the archive: install coreutils"
  to=${CCRETAIN_TO:-$(if [ "$(id -u)" = 0 ]; then echo /usr/local/bin; else echo "${HOME:+$HOME/.local/bin}"; fi)} new=''
  case $to in '') die "HOME is not set: say where to install by CCRETAIN_TO=DIR" ;; /*) ;; *) to=$PWD/$to ;; esac
  work=$(mktemp -d) || die "there is no temporary folder"
  trap 'rm -rf "$work" ${new:+"$new"}' EXIT
  trap 'exit 1' HUP INT TERM
  fetch SHA256SUMS
  case $key in
    @*) echo "install.sh: this copy has no publisher's key: only the sum is checked" >&2 ;;
    *) has ssh-keygen || die "ssh-keygen is missing, which checks the signature: install openssh-client"
      fetch SHA256SUMS.sig
      echo "release $key" >"$work/signers"
      ssh-keygen -Y verify -f "$work/signers" -I release -n ccretain-release -s "$work/SHA256SUMS.sig" <"$work/SHA256SUMS" \
        >/dev/null || die "SHA256SUMS is not signed by the publisher (or ssh-keygen is older than 8.1)" ;;
  esac
  line=$(grep -E "^[0-9a-f]{64}  ccretain-[0-9.]+-$target\.tar\.gz$" "$work/SHA256SUMS") || die "SHA256SUMS has no $target"
  case $line in *.gz*.gz) die "SHA256SUMS has two for $target" ;; esac
  archive=${line#*  }; fetch "$archive"
  (cd "$work" && echo "$line" | $check -c - >/dev/null 2>&1) || die "$archive is not what SHA256SUMS says"
  tar -xzf "$work/$archive" -C "$work" || die "$archive cannot be unpacked"
  { mkdir -p "$to" && [ ! -d "$to/ccretain" ] && new=$(mktemp "$to/.ccretain.XXXXXX") &&
    cp "$work/${archive%.tar.gz}/ccretain" "$new" && chmod 755 "$new"; } || die "'$to/ccretain' cannot be written"
  version=$("$new" --version) || die "the program does not run in '$to'"
  mv -f "$new" "$to/ccretain" || die "'$to/ccretain' cannot be replaced"
  echo "$version is installed as $to/ccretain. Nothing is scheduled; look first: ccretain status"
  case :$PATH: in *:"$to":*) ;; *) echo "$to is not in PATH yet: add it in your shell's profile" ;; esac
}
main
