#include "harness/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"

static int report_progress(void *context, curl_off_t total, curl_off_t done, curl_off_t up_total,
                           curl_off_t up) {
    curl_off_t *before = context;

    (void)up_total;
    (void)up;
    if (total > 0) progress_update((double)(*before + done) / (double)(*before + total), "%s", "");
    return 0;
}

static void set_options(CURL *curl, const char *url, FILE *file, curl_off_t *before, char *reason) {
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, file);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, *before);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTPS | CURLPROTO_HTTP));
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 100L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pyrite/" PYRITE_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, report_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, before);
}

/* Into `part`, after the bytes that are there. A server that cannot resume makes it start again. */
static int transfer(const char *url, const char *part, struct error *err) {
    char reason[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    FILE *file = fopen(part, "ab");
    curl_off_t before;
    CURLcode code;
    int status = -1;

    if (!curl || !file) {
        fail(err, "%s: cannot be written", part);
        goto out;
    }
    before = ftello(file);
    set_options(curl, url, file, &before, reason);
    code = curl_easy_perform(curl);
    if (code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME) {
        before = 0;
        if (ftruncate(fileno(file), 0)) goto out;
        rewind(file);
        curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, before);
        code = curl_easy_perform(curl);
    }
    if (code != CURLE_OK)
        fail(err, "%s: %s; the same command continues the download", url,
             *reason ? reason : curl_easy_strerror(code));
    else
        status = 0;
out:
    if (file && fclose(file) && !status) status = fail(err, "%s: cannot be written", part);
    if (curl) curl_easy_cleanup(curl);
    return status;
}

static int check_sum(const char *part, const char *url, const char *sha256, struct error *err) {
    char hex[65];

    if (!sha256) return 0;
    if (hash_file(hex, part, err)) return -1;
    if (!strcmp(hex, sha256)) return 0;
    unlink(part);
    return fail(err,
                "%s: the file's SHA-256 is %s, expected %s; it was removed, try again or use another mirror",
                url, hex, sha256);
}

int http_download(const char *url, const char *path, const char *sha256, struct error *err) {
    char *part = xprintf("%s.part", path);
    int status = -1;

    if (file_exists(path)) {
        status = 0;
        goto out;
    }
    progress_begin(url, 1, "file");
    status = transfer(url, part, err);
    progress_end();
    if (!status) status = check_sum(part, url, sha256, err);
    if (!status && rename(part, path)) status = fail(err, "%s: cannot be renamed to %s", part, path);
out:
    free(part);
    return status;
}
