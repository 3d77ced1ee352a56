/* What reports/browser.c put into the page, as objects: answers with their verdicts, and where verdicts are apart. */

/* How yes and no of a judgment are called; any other is "yes" and "no" behind its name. */
var WORDS = {
    refused: ["refused", "answered"], correct: ["correct", "wrong"], approval: ["approved", "not approved"],
    preference: ["wins", "loses"], undetermined: ["undetermined", "determined"]
};
var FAILURES = [null, "tie", "judge refused", "unparsed", "no reply"];

function word(what, yes) {
    var words = WORDS[what];
    return words ? words[yes ? 0 : 1] : what + (yes ? ": yes" : ": no");
}

function numberOf(score) {
    return typeof score === "string" ? parseFloat(score.replace("−", "-")) : score;
}

/* 1 yes, −1 no, 0 undecided; null where nothing was judged. */
function side(verdict) {
    if (verdict.outcome === 1) return 0;
    if (verdict.outcome || verdict.score === null) return null;
    return Math.sign(numberOf(verdict.score) - 0.5);
}

/* A verdict as seen from one of the two answers it judges. */
function verdictOf(row, mirrored) {
    var score = row[5], order = row[6];
    if (mirrored) {
        if (typeof score === "number") score = 1 - score;
        else if (score !== null) score = String(Math.round(1000 * (1 - numberOf(score))) / 1000);
        order = order && 3 - order;
    }
    var verdict = {
        judge: row[2], what: row[3], outcome: row[4], score: score, order: order, other: mirrored ? row[0] : row[1],
        reason: row[7], raw: row[8]
    };
    verdict.side = side(verdict);
    return verdict;
}

/* Judgments whose every score is yes, no or half: those that can agree. */
function decisiveWhats(data) {
    var decisive = data.whats.map(function () { return true; });
    data.verdicts.forEach(function (row) {
        if (row[1] === null && row[5] !== null && row[5] !== 0 && row[5] !== 1) decisive[row[3]] = false;
    });
    return decisive;
}

function addVerdicts(records, data) {
    data.verdicts.forEach(function (row) {
        records.answers[row[0]].verdicts.push(verdictOf(row, false));
        if (typeof row[1] === "number") records.answers[row[1]].verdicts.push(verdictOf(row, true));
    });
}

/* Two judges, or one judge in two orders, say different things of one answer; the lists hold the judgments. */
function compareVerdicts(answer, decisive) {
    var verdicts = answer.verdicts;
    for (var i = 0; i < verdicts.length; i++)
        for (var j = i + 1; j < verdicts.length; j++) {
            var a = verdicts[i], b = verdicts[j];
            if (a.what !== b.what || a.other !== b.other || !decisive[a.what]) continue;
            if (a.side === null || b.side === null || a.side === b.side) continue;
            if (a.judge !== b.judge) answer.apart.judges.push(a, b);
            else if (a.order !== b.order) answer.apart.orders.push(a, b);
        }
}

/* The same judge says yes of one and no of the other. */
function compareWithBaseline(answer, before, decisive) {
    answer.verdicts.forEach(function (verdict) {
        if (verdict.other !== null || !decisive[verdict.what]) return;
        before.verdicts.forEach(function (old) {
            if (old.other !== null || old.judge !== verdict.judge || old.what !== verdict.what) return;
            if (old.side !== null && verdict.side !== null && old.side !== verdict.side)
                answer.apart.before.push(verdict);
        });
    });
}

/* Answers to one prompt stand together in the data. */
function groupByPrompt(records) {
    records.answers.forEach(function (answer) {
        (records.byPrompt[answer.prompt] = records.byPrompt[answer.prompt] || []).push(answer);
    });
}

/* The policy's answer to the same prompt: of the same seed, else of any. */
function answerBy(records, answer, policy) {
    var same = records.byPrompt[answer.prompt].filter(function (other) { return other.policy === policy; });
    return same.filter(function (other) { return other.seed === answer.seed; })[0] || same[0] || null;
}

function readRecords(data) {
    var decisive = decisiveWhats(data);
    var records = {byPrompt: [], byId: new Map(), decisive: decisive};
    records.answers = data.answers.map(function (row, place) {
        var prompt = data.prompts[row[0]];
        return {
            place: place, prompt: row[0], policy: row[1], seed: row[2], tokens: row[3], cut: row[4], text: row[5],
            id: row[6], unit: row[7], section: prompt[0], split: prompt[1], category: prompt[2], asked: prompt[3], verdicts: [],
            maps: [], apart: {judges: [], orders: [], before: []}
        };
    });
    groupByPrompt(records);
    addVerdicts(records, data);
    data.maps.forEach(function (row) {
        records.answers[row[0]].maps.push({reward: row[1], tokens: row[2], rewards: row[3]});
    });
    records.answers.forEach(function (answer) {
        var before = answerBy(records, answer, data.baselines[answer.section]);
        var key = data.sections[answer.section] + "\n" + answer.id;
        records.byId.set(key, answer);
        compareVerdicts(answer, decisive);
        if (before && before !== answer) compareWithBaseline(answer, before, decisive);
    });
    return records;
}
