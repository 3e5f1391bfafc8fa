# Root runs the program, so nobody else may be able to replace it, or a folder above it.
only_roots() {
  path=$1
  while [ -n "$(find "$path" -prune -user 0 ! -type l ! -perm -020 ! -perm -002 2>/dev/null)" ]; do
    [ "$path" != / ] || return 0
    path=$(dirname "$path")
  done
  return 1
}
