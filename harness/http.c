#include "harness/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/progress.h"

enum { WAIT_MOST = 120 }; /* seconds that a server may ask for */

struct transfer {
    const struct http_file *wanted;
    const char *url;
    CURL *curl;
    FILE *file;
    curl_off_t before; /* bytes that were there */
    int too_long;
    char reason[CURL_ERROR_SIZE];
};

static int report_progress(void *context, curl_off_t total, curl_off_t done, curl_off_t up_total,
                           curl_off_t up) {
    struct transfer *transfer = context;

    (void)up_total;
    (void)up;
    transfer->too_long = transfer->before + done > transfer->wanted->most;
    if (total > 0)
        progress_update((double)(transfer->before + done) / (double)(transfer->before + total), "%s", "");
    return transfer->too_long;
}

static void set_options(struct transfer *transfer) {
    CURL *curl = transfer->curl;
    int secure = !strncasecmp(transfer->url, "https:", 6);

    curl_easy_setopt(curl, CURLOPT_URL, transfer->url);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer->file);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->reason);
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, transfer->before);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "https,http");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTPS | CURLPROTO_HTTP));
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS,
                     (long)(secure ? CURLPROTO_HTTPS : CURLPROTO_HTTPS | CURLPROTO_HTTP));
#endif
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 100L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pyrite/" PYRITE_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, report_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
    if (!transfer->wanted->token) return;
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER); /* of the first host alone */
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, transfer->wanted->token);
    if (!secure) curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

/* The server cannot go on from there, or has nothing beyond it. */
static int cannot_continue(const struct transfer *transfer, CURLcode code) {
    long answer = 0;

    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &answer);
    return transfer->before > 0 && (code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME ||
                                    (code == CURLE_HTTP_RETURNED_ERROR && answer == 416));
}

static CURLcode perform(struct transfer *transfer) {
    CURLcode code = curl_easy_perform(transfer->curl);

    if (!cannot_continue(transfer, code)) return code;
    transfer->before = 0;
    if (ftruncate(fileno(transfer->file), 0)) return CURLE_WRITE_ERROR;
    rewind(transfer->file);
    curl_easy_setopt(transfer->curl, CURLOPT_RESUME_FROM_LARGE, transfer->before);
    transfer->reason[0] = 0;
    return curl_easy_perform(transfer->curl);
}

static int is_web_page(const struct transfer *transfer) {
    const char *type = NULL;

    curl_easy_getinfo(transfer->curl, CURLINFO_CONTENT_TYPE, &type);
    return type && !strncasecmp(type, "text/html", 9);
}

static int fail_status(const struct transfer *transfer, long status, struct error *err) {
    const char *token = transfer->wanted->token;

    if (status == 401 || status == 403)
        return fail(err, "%s: HTTP %ld, %s", transfer->url, status,
                    token ? "the token is not accepted, or its owner has not agreed to the terms on the page"
                          : "it asks who you are: there is no such thing, or it needs a token");
    if (status == 404) return fail(err, "%s: HTTP 404, there is no such thing", transfer->url);
    return fail(err, "%s: HTTP %ld", transfer->url, status);
}

static int judge_outcome(const struct transfer *transfer, CURLcode code, struct error *err) {
    long status = 0;

    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (transfer->too_long) {
        unlink(transfer->wanted->part);
        return fail(err, "%s: more than the %lld bytes that the file may have", transfer->url,
                    transfer->wanted->most);
    }
    if (code == CURLE_HTTP_RETURNED_ERROR) return fail_status(transfer, status, err);
    if (code != CURLE_OK)
        return fail(err, "%s: %s", transfer->url,
                    transfer->reason[0] ? transfer->reason : curl_easy_strerror(code));
    if (!is_web_page(transfer)) return 0;
    unlink(transfer->wanted->part);
    return fail(err, "%s: a web page came in the file's place", transfer->url);
}

static int is_passing(CURLcode code, long status) {
    if (code == CURLE_HTTP_RETURNED_ERROR) return status == 429 || status >= 500;
    return code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING ||
           code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT || code == CURLE_SEND_ERROR ||
           code == CURLE_HTTP2_STREAM;
}

/* Seconds until an attempt more may help, or -1. */
static long wait_before(const struct transfer *transfer, CURLcode code, int attempt) {
    curl_off_t asked = 0;
    long status = 0;

    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->curl, CURLINFO_RETRY_AFTER, &asked);
    if (transfer->too_long || attempt >= transfer->wanted->attempts || !is_passing(code, status)) return -1;
    if (asked > WAIT_MOST) return -1;
    if (asked > 0) return (long)asked;
    return code == CURLE_HTTP_RETURNED_ERROR || code == CURLE_COULDNT_CONNECT ? 1L << (attempt - 1) : 0;
}

/* One attempt; *wait as wait_before() says. */
static int attempt_once(const struct http_file *wanted, int attempt, long *wait, struct error *err) {
    struct transfer transfer = {
        .wanted = wanted, .url = wanted->url, .curl = curl_easy_init(), .file = fopen(wanted->part, "ab")};
    int status = -1;
    CURLcode code;

    *wait = -1;
    if (!transfer.curl || !transfer.file) {
        fail(err, "%s: cannot be written", wanted->part);
        goto out;
    }
    fseeko(transfer.file, 0, SEEK_END);
    transfer.before = ftello(transfer.file);
    progress_begin(wanted->url, 1, "file");
    set_options(&transfer);
    code = perform(&transfer);
    status = judge_outcome(&transfer, code, err);
    progress_end();
    if (status) *wait = wait_before(&transfer, code, attempt);
out:
    if (transfer.file && fclose(transfer.file) && !status)
        status = fail(err, "%s: cannot be written", wanted->part);
    if (transfer.curl) curl_easy_cleanup(transfer.curl);
    return status;
}

static long long size_of(const char *path) {
    struct stat found;

    return stat(path, &found) ? 0 : (long long)found.st_size;
}

int http_download(const struct http_file *file, struct error *err) {
    long long had = size_of(file->part);
    int status, attempt = 1;
    long wait;

    while ((status = attempt_once(file, attempt, &wait, err)) && wait >= 0) {
        long long has = size_of(file->part);

        attempt = has > had ? 1 : attempt + 1; /* what comes on counts as a new beginning */
        had = has;
        if (wait) progress_notice("%s; asked again in %ld s", err->message, wait);
        sleep((unsigned)wait);
    }
    return status;
}
