#include "harness/store.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
    "CREATE TABLE IF NOT EXISTS steps(name TEXT PRIMARY KEY, label TEXT, stage TEXT, hash TEXT, seed INTEGER,"
    " matrix TEXT, options TEXT, seconds REAL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS metrics(step TEXT, task TEXT, suite TEXT, name TEXT, policy TEXT,"
    " baseline TEXT, split TEXT, value REAL, low REAL, high REAL, p REAL, p_adjusted REAL, unit TEXT,"
    " method TEXT, family TEXT, reason TEXT, n INTEGER, n_missing INTEGER, worst REAL, best REAL, seeds "
    "INTEGER,"
    " per_seed TEXT, lower_is_better INTEGER);"
    "CREATE TABLE IF NOT EXISTS transcripts(step TEXT, id TEXT, prompt_id TEXT, split TEXT, policy TEXT,"
    " prompt TEXT, response TEXT, category TEXT, finish TEXT, tokens INTEGER, logprob REAL, reference REAL,"
    " seed INTEGER);"
    "CREATE TABLE IF NOT EXISTS verdicts(step TEXT, transcript TEXT, other TEXT, judge TEXT, what TEXT,"
    " outcome TEXT, score REAL, shown INTEGER, reason TEXT, raw TEXT);"
    "CREATE INDEX IF NOT EXISTS transcripts_step ON transcripts(step);"
    "CREATE INDEX IF NOT EXISTS verdicts_step ON verdicts(step);"
    "CREATE INDEX IF NOT EXISTS verdicts_transcript ON verdicts(transcript);";

struct store {
    sqlite3 *db;
    char *path;
};

static int fail_store(struct store *store, struct error *err) {
    return fail(err, "%s: %s; it can be removed, the next run makes it again", store->path,
                store->db ? sqlite3_errmsg(store->db) : "out of memory");
}

static int execute(struct store *store, const char *sql, struct error *err) {
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail_store(store, err);
}

int store_open(struct store **out, const char *path, struct error *err) {
    struct store *store = xcalloc(1, sizeof *store);

    store->path = xstrdup(path);
    if (sqlite3_open(path, &store->db) != SQLITE_OK)
        fail_store(store, err);
    else if (!execute(store, schema, err)) {
        sqlite3_busy_timeout(store->db, 10000);
        *out = store;
        return 0;
    }
    store_close(store);
    return -1;
}

void store_close(struct store *store) {
    if (!store) return;
    sqlite3_close(store->db);
    free(store->path);
    free(store);
}

static sqlite3_stmt *prepare(struct store *store, const char *sql, struct error *err) {
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK) fail_store(store, err);
    return statement;
}

static void bind_text(sqlite3_stmt *statement, int *place, const char *text) {
    sqlite3_bind_text(statement, ++*place, text, -1, SQLITE_TRANSIENT);
}

/* NaN becomes NULL. */
static void bind_real(sqlite3_stmt *statement, int *place, double value) {
    sqlite3_bind_double(statement, ++*place, value);
}

static void bind_whole(sqlite3_stmt *statement, int *place, long long value) {
    sqlite3_bind_int64(statement, ++*place, value);
}

static void bind_json(sqlite3_stmt *statement, int *place, const struct node *node) {
    char *json = node_json(node, 0);

    bind_text(statement, place, json);
    free(json);
}

/* Runs a bound statement and makes it ready for the next row. */
static int step_row(struct store *store, sqlite3_stmt *statement, struct error *err) {
    int code = sqlite3_step(statement);

    sqlite3_reset(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : fail_store(store, err);
}

int store_has(struct store *store, const char *step, const char *hash, struct error *err) {
    sqlite3_stmt *statement = prepare(store, "SELECT 1 FROM steps WHERE name = ? AND hash = ?", err);
    int place = 0, code;

    if (!statement) return -1;
    bind_text(statement, &place, step);
    bind_text(statement, &place, hash);
    code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) fail_store(store, err);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : -1;
}

static int forget(struct store *store, const char *step, struct error *err) {
    static const char *const statements[] = {
        "DELETE FROM steps WHERE name = ?", "DELETE FROM metrics WHERE step = ?",
        "DELETE FROM transcripts WHERE step = ?", "DELETE FROM verdicts WHERE step = ?"};
    int status = 0;

    for (size_t i = 0; i < sizeof statements / sizeof *statements && !status; i++) {
        sqlite3_stmt *statement = prepare(store, statements[i], err);
        int place = 0;

        if (!statement) return -1;
        bind_text(statement, &place, step);
        status = step_row(store, statement, err);
        sqlite3_finalize(statement);
    }
    return status;
}

static int add_step(struct store *store, const struct instance *step, const char *hash, double seconds,
                    struct error *err) {
    sqlite3_stmt *statement = prepare(store, "INSERT INTO steps VALUES(?, ?, ?, ?, ?, ?, ?, ?)", err);
    int place = 0, status;

    if (!statement) return -1;
    bind_text(statement, &place, step->name);
    bind_text(statement, &place, step->label);
    bind_text(statement, &place, step->stage->name);
    bind_text(statement, &place, hash);
    bind_whole(statement, &place, (long long)step->seed);
    bind_json(statement, &place, step->matrix);
    bind_json(statement, &place, step->options);
    bind_real(statement, &place, seconds);
    status = step_row(store, statement, err);
    sqlite3_finalize(statement);
    return status;
}

static void bind_per_seed(sqlite3_stmt *statement, int *place, const struct metric *metric) {
    struct node *list = node_new(NODE_LIST);

    for (int i = 0; metric->per_seed && i < metric->seeds; i++)
        node_add_number(list, NULL, metric->per_seed[i]);
    bind_json(statement, place, list);
    node_free(list);
}

static void bind_metric(sqlite3_stmt *statement, const char *step, const struct metric *metric) {
    int place = 0;

    bind_text(statement, &place, step);
    bind_text(statement, &place, metric->task);
    bind_text(statement, &place, metric->suite);
    bind_text(statement, &place, metric->name);
    bind_text(statement, &place, metric->policy);
    bind_text(statement, &place, metric->baseline);
    bind_text(statement, &place, metric->split);
    bind_real(statement, &place, metric->value);
    bind_real(statement, &place, metric->low);
    bind_real(statement, &place, metric->high);
    bind_real(statement, &place, metric->p);
    bind_real(statement, &place, metric->p_adjusted);
    bind_text(statement, &place, metric->unit);
    bind_text(statement, &place, metric->method);
    bind_text(statement, &place, metric->family);
    bind_text(statement, &place, metric->reason);
    bind_whole(statement, &place, metric->n);
    bind_whole(statement, &place, metric->n_missing);
    bind_real(statement, &place, metric->worst);
    bind_real(statement, &place, metric->best);
    bind_whole(statement, &place, metric->seeds);
    bind_per_seed(statement, &place, metric);
    bind_whole(statement, &place, metric->lower_is_better);
}

static void bind_transcript(sqlite3_stmt *statement, const char *step, const struct transcript *transcript) {
    int place = 0;

    bind_text(statement, &place, step);
    bind_text(statement, &place, transcript->id);
    bind_text(statement, &place, transcript->prompt_id);
    bind_text(statement, &place, transcript->split);
    bind_text(statement, &place, transcript->policy);
    bind_text(statement, &place, transcript->prompt);
    bind_text(statement, &place, transcript->response);
    bind_text(statement, &place, transcript->category);
    bind_text(statement, &place, transcript->finish);
    bind_whole(statement, &place, transcript->tokens);
    bind_real(statement, &place, transcript->logprob);
    bind_real(statement, &place, transcript->reference);
    bind_whole(statement, &place, transcript->seed);
}

static void bind_verdict(sqlite3_stmt *statement, const char *step, const struct verdict *verdict) {
    static const char *const outcomes[] = {"verdict", "tie", "refused", "unparsed", "transport"};
    int place = 0;

    bind_text(statement, &place, step);
    bind_text(statement, &place, verdict->transcript);
    bind_text(statement, &place, verdict->other);
    bind_text(statement, &place, verdict->judge);
    bind_text(statement, &place, verdict->what);
    bind_text(statement, &place, outcomes[verdict->outcome]);
    bind_real(statement, &place, verdict->score);
    bind_whole(statement, &place, verdict->order);
    bind_text(statement, &place, verdict->reason);
    bind_text(statement, &place, verdict->raw);
}

static int import_metrics(struct store *store, sqlite3_stmt *statement, const char *step, const char *path,
                          struct error *err) {
    struct metrics list = {0};
    int status = metrics_read(path, &list, err);

    for (int i = 0; i < list.count && !status; i++) {
        bind_metric(statement, step, &list.items[i]);
        status = step_row(store, statement, err);
    }
    metrics_free(&list);
    return status;
}

static int import_transcripts(struct store *store, sqlite3_stmt *statement, const char *step,
                              const char *path, struct error *err) {
    struct transcripts list = {0};
    int status = transcripts_read(path, &list, err);

    for (int i = 0; i < list.count && !status; i++) {
        bind_transcript(statement, step, &list.items[i]);
        status = step_row(store, statement, err);
    }
    transcripts_free(&list);
    return status;
}

static int import_verdicts(struct store *store, sqlite3_stmt *statement, const char *step, const char *path,
                           struct error *err) {
    struct verdicts list = {0};
    int status = verdicts_read(path, &list, err);

    for (int i = 0; i < list.count && !status; i++) {
        bind_verdict(statement, step, &list.items[i]);
        status = step_row(store, statement, err);
    }
    verdicts_free(&list);
    return status;
}

static const struct {
    const char *file, *insert;
    int (*import)(struct store *store, sqlite3_stmt *statement, const char *step, const char *path,
                  struct error *err);
} imports[] = {
    {"metrics.jsonl",
     "INSERT INTO metrics VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
     import_metrics},
    {"transcripts.jsonl", "INSERT INTO transcripts VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
     import_transcripts},
    {"verdicts.jsonl", "INSERT INTO verdicts VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", import_verdicts},
};

static int import_files(struct store *store, const char *step, const char *folder, struct error *err) {
    int status = 0;

    for (size_t i = 0; i < sizeof imports / sizeof *imports && !status; i++) {
        char *path = path_join(folder, imports[i].file);
        sqlite3_stmt *statement = file_exists(path) ? prepare(store, imports[i].insert, err) : NULL;

        if (statement)
            status = imports[i].import(store, statement, step, path, err);
        else if (file_exists(path))
            status = -1;
        sqlite3_finalize(statement);
        free(path);
    }
    return status;
}

int store_import(struct store *store, const struct instance *step, const char *hash, const char *folder,
                 double seconds, struct error *err) {
    struct error ignored;

    if (execute(store, "BEGIN IMMEDIATE", err)) return -1;
    if (!forget(store, step->name, err) && !add_step(store, step, hash, seconds, err) &&
        !import_files(store, step->name, folder, err) && !execute(store, "COMMIT", err))
        return 0;
    execute(store, "ROLLBACK", &ignored);
    return -1;
}
