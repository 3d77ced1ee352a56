/* One answer in a box: its text, marked or coloured, what judges said of it, and how long it is. Texts of models
   enter the page as text content alone. */

function make(tag, parent, text, name) {
    var element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    if (name) element.className = name;
    if (parent) parent.appendChild(element);
    return element;
}

/* A text that somebody else wrote: its own direction, kept from its neighbours. */
function makeQuoted(tag, parent, text, name) {
    var element = make(tag, parent, text, name);
    element.dir = "auto";
    return element;
}

/* view: {replies: raw replies stand open, rewards: the reward whose tokens are coloured, or ""}. */
function makeBoxes(data, records, view) {
    var answers = records.answers;

    function textOf(place) { return place < 0 ? "" : data.texts[place]; }

    function badgesOf(answer) {
        var names = [];
        if (answer.apart.judges.length) names.push("judges ≠");
        if (answer.apart.orders.length) names.push("orders ≠");
        if (answer.apart.before.length) names.push("≠ baseline");
        answer.verdicts.forEach(function (v) {
            var what = data.whats[v.what], yes = v.side > 0;
            if (v.outcome > 1) names.push(FAILURES[v.outcome]);
            else if (WORDS[what] && v.side && (yes ? what !== "correct" : what === "correct" || what === "preference"))
                names.push(word(what, yes));
        });
        if (answer.cut) names.push("cut");
        return Array.from(new Set(names));
    }

    function addBadges(parent, answer) {
        badgesOf(answer).forEach(function (name) {
            var tone = /^(refused|wrong|loses)$/.test(name) ? " worse" : /^(approved|wins)$/.test(name) ? " better" : "";
            make("span", parent, name, "badge" + tone);
        });
    }

    function scoreText(v) {
        var name = data.whats[v.what], text = v.score === 0.5 ? "0.500" : String(v.score);
        if (v.outcome) return FAILURES[v.outcome];
        if (v.score === null) return "no score";
        if (!records.decisive[v.what] || !v.side) return text;
        return word(name, v.side > 0) + (v.score === 0 || v.score === 1 ? "" : " (" + text + ")");
    }

    function opponentText(v) {
        var order = ["", ", shown first", ", shown second"][v.order] || "";
        if (v.other === null) return order;
        return " against " + (typeof v.other === "number" ? data.policies[answers[v.other].policy] : v.other) + order;
    }

    function addVerdict(parent, v) {
        var item = make("li", parent), reply;
        make("span", item, data.whats[v.what] + " by " + data.judges[v.judge] + ": ");
        make("b", item, scoreText(v));
        make("span", item, opponentText(v));
        if (v.reason >= 0) makeQuoted("q", item, textOf(v.reason));
        if (v.raw < 0) return;
        reply = make("details", item);
        reply.open = view.replies;
        make("summary", reply, "raw reply");
        makeQuoted("pre", reply, textOf(v.raw) || "(empty)").tabIndex = 0;
    }

    /* ---- token rewards: colour, underline for what lowers, the number under pointer or arrow keys ---- */

    function addLegend(parent, most) {
        var legend = make("p", parent, undefined, "key legend");
        make("span", legend, "lowers ");
        [-1, -0.5, 0, 0.5, 1].forEach(function (share) {
            var swatch = make("span", legend, share === 0 ? "0" : (share < 0 ? "−" : "+") + (Math.abs(share) === 1 ? most : "½"),
                "swatch " + (share < 0 ? "neg" : "pos"));
            swatch.style.setProperty("--w", Math.abs(share));
        });
        make("span", legend, " raises");
    }

    function addTokens(parent, map) {
        var numbers = map.rewards.map(numberOf), sizes = numbers.map(Math.abs), at = -1;
        var most = Math.max.apply(null, sizes), text = makeQuoted("p", parent, undefined, "tokens"), readout;
        addLegend(parent, map.rewards[sizes.indexOf(most)].replace("−", ""));
        readout = make("p", parent, "Point at a token, or use ← and → in the text, to read its reward.", "key readout");
        readout.setAttribute("aria-live", "polite");
        text.tabIndex = 0;
        text.setAttribute("role", "group");
        text.setAttribute("aria-label", "tokens with rewards of " + map.reward);
        function read(i) {
            if (i < 0 || i >= text.children.length) return;
            if (at >= 0) text.children[at].classList.remove("at");
            at = i;
            text.children[at].classList.add("at");
            readout.textContent = "Token " + (i + 1) + " of " + map.tokens.length + ", “" + map.tokens[i] + "”: " + map.rewards[i];
        }
        map.tokens.forEach(function (token, i) {
            var span = make("span", text, token, numbers[i] < 0 ? "neg" : "pos");
            span.style.setProperty("--w", most > 0 ? (sizes[i] / most).toFixed(2) : 0);
            span.addEventListener("pointerenter", function () { read(i); });
        });
        text.addEventListener("keydown", function (event) {
            if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
            read(at + (event.key === "ArrowRight" ? 1 : -1));
            event.preventDefault();
        });
    }

    function addMarked(parent, pieces, tag) {
        var text = makeQuoted("p", parent, undefined, "said");
        pieces.forEach(function (piece) {
            if (piece[1]) text.appendChild(document.createTextNode(piece[0]));
            else make(tag, text, piece[0]);
        });
    }

    function addBox(parent, answer, pieces, tag) {
        var box = make("article", parent, undefined, "side"), head = make("h3", box), verdicts;
        var map = answer.maps.filter(function (one) { return one.reward === view.rewards; })[0];
        makeQuoted("bdi", head, data.policies[answer.policy]);
        if (answer.policy === data.baselines[answer.section]) make("small", head, " baseline");
        addBadges(head, answer);
        if (map) addTokens(box, map);
        else if (pieces) addMarked(box, pieces, tag);
        else makeQuoted("p", box, textOf(answer.text) || "(empty)", "said");
        if (view.rewards && !map) make("p", box, "No token rewards of " + view.rewards + " for this answer.", "key");
        verdicts = make("ul", box, undefined, "verdicts");
        answer.verdicts.forEach(function (v) {
            if (data.whats[v.what] !== "undetermined" || v.side >= 0) addVerdict(verdicts, v);
        });
        make("footer", box, (answer.unit ? answer.tokens.toLocaleString("en") + " " + answer.unit : "length not known") + (answer.cut ? ", cut at the limit" : ""));
    }

    return {add: addBox, addBadges: addBadges, textOf: textOf};
}
