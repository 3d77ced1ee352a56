#include "harness/store_cache.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

static const char settings[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
static const char schema[] = "CREATE TABLE IF NOT EXISTS replies(id INTEGER PRIMARY KEY AUTOINCREMENT, key "
                             "TEXT NOT NULL, good INTEGER,"
                             " kind INTEGER, body TEXT, reason TEXT, attempts INTEGER, input_tokens REAL, "
                             "output_tokens REAL, cost REAL,"
                             " made TEXT DEFAULT CURRENT_TIMESTAMP);"
                             "CREATE INDEX IF NOT EXISTS replies_key ON replies(key);";
static const char select_best[] =
    "SELECT good, kind, body, reason, attempts, input_tokens, output_tokens,"
    " (SELECT TOTAL(cost) FROM replies WHERE key = ?1) FROM replies WHERE key = ?1"
    " ORDER BY good DESC, id LIMIT 1";
static const char insert[] = "INSERT INTO replies(key, good, kind, body, reason, attempts, input_tokens,"
                             " output_tokens, cost) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)";
enum { PATIENCE = 30000, NAP = 20 }; /* milliseconds for another process's write; between attempts */

struct cache {
    sqlite3 *db;
    sqlite3_stmt *get, *put;
    char *path;
};

static int fail_cache(const struct cache *cache, struct error *err) {
    return fail(err, "%s: %s", cache->path, cache->db ? sqlite3_errmsg(cache->db) : "out of memory");
}

/* SQLite waits for no other process where it changes the journal's mode, or makes what another just made. */
static int settle(struct cache *cache, struct error *err) {
    int code;

    for (int waited = 0;; waited += NAP) {
        code = sqlite3_exec(cache->db, settings, NULL, NULL, NULL);
        if (code == SQLITE_OK) code = sqlite3_exec(cache->db, schema, NULL, NULL, NULL);
        if (code == SQLITE_OK) return 0;
        if (code != SQLITE_BUSY || waited >= PATIENCE) return fail_cache(cache, err);
        sqlite3_sleep(NAP);
    }
}

static int prepare(struct cache *cache, sqlite3_stmt **out, const char *sql, struct error *err) {
    return sqlite3_prepare_v2(cache->db, sql, -1, out, NULL) == SQLITE_OK ? 0 : fail_cache(cache, err);
}

static int make_folder(const char *path, struct error *err) {
    const char *slash = strrchr(path, '/');
    char *folder = slash && slash > path ? xstrndup(path, (size_t)(slash - path)) : NULL;
    int status = folder ? folder_make(folder, err) : 0;

    free(folder);
    return status;
}

int cache_open(struct cache **out, const char *path, struct error *err) {
    struct cache *cache;

    if (make_folder(path, err)) return -1;
    cache = xcalloc(1, sizeof *cache);
    cache->path = xstrdup(path);
    if (sqlite3_open(path, &cache->db) != SQLITE_OK) {
        fail_cache(cache, err);
        goto bad;
    }
    sqlite3_busy_timeout(cache->db, PATIENCE);
    if (settle(cache, err) || prepare(cache, &cache->get, select_best, err) ||
        prepare(cache, &cache->put, insert, err))
        goto bad;
    *out = cache;
    return 0;
bad:
    cache_close(cache);
    return -1;
}

void cache_close(struct cache *cache) {
    if (!cache) return;
    sqlite3_finalize(cache->get);
    sqlite3_finalize(cache->put);
    sqlite3_close(cache->db);
    free(cache->path);
    free(cache);
}

static char *column_text(sqlite3_stmt *row, int column) {
    return xstrdup((const char *)sqlite3_column_text(row, column));
}

int cache_get(struct cache *cache, const char *key, struct cached *out, struct error *err) {
    int code;

    sqlite3_bind_text(cache->get, 1, key, -1, SQLITE_STATIC);
    code = sqlite3_step(cache->get);
    if (code == SQLITE_ROW)
        *out = (struct cached){.good = sqlite3_column_int(cache->get, 0),
                               .kind = sqlite3_column_int(cache->get, 1),
                               .body = column_text(cache->get, 2),
                               .reason = column_text(cache->get, 3),
                               .attempts = sqlite3_column_int(cache->get, 4),
                               .input_tokens = sqlite3_column_double(cache->get, 5),
                               .output_tokens = sqlite3_column_double(cache->get, 6),
                               .cost = sqlite3_column_double(cache->get, 7)};
    else if (code != SQLITE_DONE)
        fail_cache(cache, err);
    sqlite3_reset(cache->get);
    return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : -1;
}

int cache_put(struct cache *cache, const char *key, const struct cached *reply, struct error *err) {
    sqlite3_stmt *put = cache->put;
    int code;

    sqlite3_bind_text(put, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_int(put, 2, reply->good);
    sqlite3_bind_int(put, 3, reply->kind);
    sqlite3_bind_text(put, 4, reply->body, -1, SQLITE_STATIC);
    sqlite3_bind_text(put, 5, reply->reason, -1, SQLITE_STATIC);
    sqlite3_bind_int(put, 6, reply->attempts);
    sqlite3_bind_double(put, 7, reply->input_tokens);
    sqlite3_bind_double(put, 8, reply->output_tokens);
    sqlite3_bind_double(put, 9, reply->cost);
    code = sqlite3_step(put);
    if (code != SQLITE_DONE) fail_cache(cache, err);
    sqlite3_reset(put);
    return code == SQLITE_DONE ? 0 : -1;
}

void cached_free(struct cached *reply) {
    free(reply->body);
    free(reply->reason);
    *reply = (struct cached){0};
}
