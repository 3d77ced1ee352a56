/* A list of any length that draws only the rows in sight: a runway of full height, rows placed on it. */
var ROW = 54;  /* pixels of a row, as in page.css */
var SPARE = 6; /* rows drawn beyond the edges */

/* fill(row, i) puts the content of the i-th item into a row; choose(i) is called for a click. */
function makeList(parent, name, fill, choose) {
    var list = make("div", parent, undefined, "list"), runway = make("div", list, undefined, "runway");
    var count = 0, current = 0, drawn = [0, 0], waiting = false;
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", name);
    list.tabIndex = 0;
    runway.setAttribute("role", "none");

    function makeRow(i) {
        var row = make("div", undefined, undefined, "row");
        row.setAttribute("role", "option");
        row.setAttribute("aria-selected", String(i === current));
        row.setAttribute("aria-setsize", count);
        row.setAttribute("aria-posinset", i + 1);
        row.id = "row-" + i;
        row.style.top = i * ROW + "px";
        row.addEventListener("click", function () { choose(i); });
        fill(row, i);
        return row;
    }

    function draw(anew) {
        var first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE), rows = [];
        var last = Math.min(count, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
        if (!anew && drawn[0] === first && drawn[1] === last) return;
        for (var i = first; i < last; i++) rows.push(makeRow(i));
        runway.replaceChildren.apply(runway, rows);
        drawn = [first, last];
    }

    list.addEventListener("scroll", function () {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(function () { waiting = false; draw(false); });
    }, {passive: true});
    window.addEventListener("resize", function () { draw(false); });

    /* Draws anew, with the current row in sight. */
    function show(newCount, newCurrent) {
        var top = newCurrent * ROW, height = list.clientHeight;
        count = newCount;
        current = newCurrent;
        runway.style.height = count * ROW + "px";
        if (top < list.scrollTop) list.scrollTop = top;
        else if (top + ROW > list.scrollTop + height) list.scrollTop = top + ROW - height;
        draw(true);
        if (count) list.setAttribute("aria-activedescendant", "row-" + current);
        else list.removeAttribute("aria-activedescendant");
    }

    return {element: list, show: show, page: function () { return Math.floor(list.clientHeight / ROW); }};
}
