#!/bin/sh
# The rubrics as C strings, on standard output.
set -eu
echo '#include "judges/rubric.h"'
echo
echo 'const struct text_file rubric_files[] = {'
for file in "$@"; do
    echo "    {\"$(basename "$file" .yaml)\","
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/     "/' -e 's/$/\\n"/' "$file"
    echo '     ""},'
done
echo '    {0}};'
