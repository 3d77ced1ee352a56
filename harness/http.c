#include "harness/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "harness/progress.h"

struct transfer {
    const char *url;
    CURL *curl;
    FILE *file;
    curl_off_t before, most; /* bytes that were there; that are accepted */
    int too_long;
    char reason[CURL_ERROR_SIZE];
};

static int report_progress(void *context, curl_off_t total, curl_off_t done, curl_off_t up_total,
                           curl_off_t up) {
    struct transfer *transfer = context;

    (void)up_total;
    (void)up;
    transfer->too_long = transfer->before + done > transfer->most;
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

static int judge_outcome(const struct transfer *transfer, CURLcode code, const char *part,
                         struct error *err) {
    if (transfer->too_long) {
        unlink(part);
        return fail(err, "%s: more than the %lld bytes that the file may have", transfer->url,
                    (long long)transfer->most);
    }
    if (code != CURLE_OK)
        return fail(err, "%s: %s", transfer->url,
                    transfer->reason[0] ? transfer->reason : curl_easy_strerror(code));
    if (!is_web_page(transfer)) return 0;
    unlink(part);
    return fail(err, "%s: a web page came in the file's place", transfer->url);
}

int http_download(const char *url, const char *part, long most, struct error *err) {
    struct transfer transfer = {
        .url = url, .curl = curl_easy_init(), .file = fopen(part, "ab"), .most = most};
    int status = -1;

    if (!transfer.curl || !transfer.file) {
        fail(err, "%s: cannot be written", part);
        goto out;
    }
    fseeko(transfer.file, 0, SEEK_END);
    transfer.before = ftello(transfer.file);
    progress_begin(url, 1, "file");
    set_options(&transfer);
    status = judge_outcome(&transfer, perform(&transfer), part, err);
    progress_end();
out:
    if (transfer.file && fclose(transfer.file) && !status) status = fail(err, "%s: cannot be written", part);
    if (transfer.curl) curl_easy_cleanup(transfer.curl);
    return status;
}
