# What the tests of the program share, to be sourced: a folder of its own that goes away, and words for what is
# expected. $failed is the exit code.
set -u
pyrite=$(realpath "${PYRITE:-./pyrite}")
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
failed=0

complain() {
    echo "FAIL: $*"
    failed=1
}
# says FILE TEXT: the file has the text.
says() { grep -qF -- "$2" "$1" || complain "expected \"$2\" in:"$'\n'"$(head -c 3000 "$1")"; }
# runs CODE ARGUMENT…: the program; its output in the file out.
runs() {
    local code=$1 got
    shift
    "$pyrite" "$@" >out 2>&1
    got=$?
    [ $got -eq "$code" ] || complain "pyrite $*: exit code $got, expected $code"$'\n'"$(cat out)"
}

cd "$here" || exit 99
