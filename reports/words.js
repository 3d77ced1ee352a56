/* Which words of two texts differ: the longest common subsequence of words, where the texts are short enough. */
var DIFFERENCE_CELLS = 4e6; /* words × words that are compared */

function splitWords(text) {
    return text.match(/\s+|[\p{L}\p{N}_'’]+|[^\s\p{L}\p{N}_'’]/gu) || [];
}

/* Lengths of common subsequences of the rests of a and b, row by row. */
function commonLengths(a, b) {
    var width = b.length + 1, table = new Uint16Array((a.length + 1) * width);
    for (var i = a.length - 1; i >= 0; i--)
        for (var j = b.length - 1; j >= 0; j--)
            table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1
                : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    return table;
}

function countWords(pieces) { return pieces.filter(function (piece) { return /\S/.test(piece); }).length; }

/* Pieces [text, same] of both, neighbours of a kind joined; null where the texts are too long, or share less than
   half of the shorter one's words, so that marks would tell nothing. */
function differences(before, after) {
    var a = splitWords(before), b = splitWords(after), width = b.length + 1, i = 0, j = 0, shared = 0;
    var pieces = [[], []], table;

    function put(which, text, same) {
        var list = pieces[which], last = list[list.length - 1];
        if (last && last[1] === same) last[0] += text;
        else list.push([text, same]);
    }

    if (a.length * b.length > DIFFERENCE_CELLS || a.length > 65535 || b.length > 65535) return null;
    table = commonLengths(a, b);
    while (i < a.length || j < b.length) {
        if (i < a.length && j < b.length && a[i] === b[j]) {
            if (/\S/.test(a[i])) shared++;
            put(0, a[i++], true);
            put(1, b[j++], true);
        } else if (j >= b.length || (i < a.length && table[(i + 1) * width + j] >= table[i * width + j + 1]))
            put(0, a[i++], false);
        else
            put(1, b[j++], false);
    }
    return 2 * shared >= Math.min(countWords(a), countWords(b)) ? pieces : null;
}
