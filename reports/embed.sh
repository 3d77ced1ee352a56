#!/bin/sh
# Text files as C strings, on standard output: reports/page.css becomes page_css.
# usage: embed.sh HEADER FILE...    the header declares them
set -eu
echo "#include \"$1\""
shift
for file in "$@"; do
    echo
    echo "const char $(basename "$file" | tr '.-' '__')[] ="
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$file"
    echo '    "";'
done
