#include "harness/http_post.h"

#include <curl/curl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "harness/worker.h"

enum { MOST_REDIRECTS = 3 };
static const double longest_backoff = 60, longest_nap = 1;

/* One request at a time, with the pauses between its attempts. */
struct lane {
    CURL *curl;
    char why[CURL_ERROR_SIZE];
    struct text body;
    char *url; /* where a redirect led; NULL: the endpoint */
    const char *request;
    double due;  /* when the next attempt may leave */
    size_t most; /* bytes of a body */
    int number, attempts, redirects;
    int busy, flying, cut; /* cut: the body became too large */
};

struct client {
    const struct http_settings *settings;
    const struct http_feed *feed;
    CURLM *multi;
    struct curl_slist *headers;
    struct lane *lanes;
    double next_send, paused_until; /* for all lanes */
    int exhausted;                  /* next() has none any more */
};

static int is_this_machine(const char *host) {
    int is_address = host[strspn(host, "0123456789.")] == '\0'; /* 127.example.com is none */

    return !strcmp(host, "localhost") || !strcmp(host, "[::1]") || (is_address && !strncmp(host, "127.", 4));
}

/* A part of a URL; caller frees with curl_free(). NULL if it has none. */
static char *url_part(CURLU *url, CURLUPart part) {
    char *text = NULL;

    return curl_url_get(url, part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) ? NULL : text;
}

static CURLU *url_parse(const char *text) {
    CURLU *url = curl_url();

    if (url && !curl_url_set(url, CURLUPART_URL, text, 0)) return url;
    curl_url_cleanup(url);
    return NULL;
}

int http_check_url(const char *text, int with_key, struct error *err) {
    CURLU *url = url_parse(text);
    char *scheme, *host, *user, *password, *query;
    int status = 0;

    if (!url) return fail(err, "the endpoint is no URL; one begins with https:// or http://");
    scheme = url_part(url, CURLUPART_SCHEME);
    host = url_part(url, CURLUPART_HOST);
    user = url_part(url, CURLUPART_USER);
    password = url_part(url, CURLUPART_PASSWORD);
    query = url_part(url, CURLUPART_QUERY);
    if (user || password)
        status = fail(err, "the endpoint holds a name or a password; secrets belong in key_env or key_file");
    else if (query)
        status =
            fail(err, "the endpoint holds a query (?…), behind which no path can be added; a key belongs "
                      "in key_env or key_file");
    else if (!scheme || !host || (strcmp(scheme, "https") && strcmp(scheme, "http")))
        status = fail(err, "the endpoint must begin with https:// or http://");
    else if (with_key && !strcmp(scheme, "http") && !is_this_machine(host))
        status = fail(err,
                      "the key would travel to %s unencrypted; use https, or give no key to a server that "
                      "needs none",
                      host);
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_free(password);
    curl_free(query);
    curl_url_cleanup(url);
    return status;
}

static int same_place(const char *a, const char *b) {
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    CURLU *x = url_parse(a), *y = url_parse(b);
    int same = x && y;

    for (int i = 0; i < 3 && same; i++) {
        char *of_x = url_part(x, parts[i]), *of_y = url_part(y, parts[i]);

        same = of_x && of_y && !strcmp(of_x, of_y);
        curl_free(of_x);
        curl_free(of_y);
    }
    curl_url_cleanup(x);
    curl_url_cleanup(y);
    return same;
}

static size_t receive(char *bytes, size_t size, size_t count, void *context) {
    struct lane *lane = context;
    size_t length = size * count;

    if (lane->body.length + length > lane->most) {
        lane->cut = 1;
        return 0;
    }
    text_add(&lane->body, bytes, length);
    return length;
}

static void set_security(CURL *curl, const struct http_settings *settings) {
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    /* A key that may not leave this machine unencrypted does not leave it by a proxy either. */
    if (settings->key && curl_strnequal(settings->url, "http:", 5)) curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (settings->ca_file) curl_easy_setopt(curl, CURLOPT_CAINFO, settings->ca_file);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTPS | CURLPROTO_HTTP));
#endif
}

static void lane_open(struct lane *lane, const struct client *client) {
    const struct http_settings *settings = client->settings;
    CURL *curl = lane->curl = curl_easy_init();

    lane->most = settings->most_bytes;
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pyrite/" PYRITE_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, lane);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, lane->why);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * settings->connect_seconds));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(1000 * settings->seconds));
    set_security(curl, settings);
}

static void lane_close(struct lane *lane, struct client *client) {
    if (lane->flying) curl_multi_remove_handle(client->multi, lane->curl);
    curl_easy_cleanup(lane->curl);
    free(lane->body.data);
    free(lane->url);
}

/* The key's bytes are overwritten before they are given back. */
static void forget_headers(struct curl_slist *headers) {
    for (struct curl_slist *line = headers; line; line = line->next) {
        volatile char *at = line->data;

        while (*at) *at++ = '\0';
    }
    curl_slist_free_all(headers);
}

static void make_headers(struct client *client) {
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");

    list = curl_slist_append(list, "Accept: application/json");
    list = curl_slist_append(list, "Expect:");
    if (client->settings->key) {
        char *line = xprintf("Authorization: Bearer %s", client->settings->key);

        list = curl_slist_append(list, line);
        memset(line, 0, strlen(line));
        free(line);
    }
    client->headers = list;
}

static double jitter(const struct client *client, const struct lane *lane) {
    struct rng rng =
        rng_stream(client->settings->seed, "http/jitter", (uint64_t)lane->number, (uint64_t)lane->attempts);

    return rng_uniform(&rng);
}

static void send_now(struct client *client, struct lane *lane, double now) {
    const struct http_settings *settings = client->settings;

    if (settings->per_minute > 0)
        client->next_send = fmax(client->next_send, now) + 60 / settings->per_minute;
    text_add(&lane->body, "", 0);
    lane->body.length = 0;
    lane->body.data[0] = '\0';
    lane->why[0] = '\0';
    lane->cut = 0;
    lane->attempts++;
    lane->flying = 1;
    curl_easy_setopt(lane->curl, CURLOPT_URL, lane->url ? lane->url : settings->url);
    curl_easy_setopt(lane->curl, CURLOPT_POSTFIELDS, lane->request);
    curl_easy_setopt(lane->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(lane->request));
    curl_multi_add_handle(client->multi, lane->curl);
}

/* The key where the body repeats it. */
static void wipe_key(struct text *body, const char *key) {
    size_t length = key ? strlen(key) : 0;

    for (size_t i = 0; length && i + length <= body->length; i++)
        if (!memcmp(body->data + i, key, length)) memset(body->data + i, '*', length);
}

static void tell(struct http_reply *reply, enum http_end end, int worth_repeating, int may_be_charged,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void tell(struct http_reply *reply, enum http_end end, int worth_repeating, int may_be_charged,
                 const char *format, ...) {
    va_list args;

    va_start(args, format);
    vsnprintf(reply->reason, sizeof reply->reason, format, args);
    va_end(args);
    reply->end = end;
    reply->worth_repeating = worth_repeating;
    reply->may_be_charged = may_be_charged;
}

/* Where a reply of 3xx leads, if that is allowed: the lane is turned there. */
static int follow(struct lane *lane, const struct client *client) {
    const char *to = NULL;

    curl_easy_getinfo(lane->curl, CURLINFO_REDIRECT_URL, &to);
    if (!to || lane->redirects >= MOST_REDIRECTS || !same_place(client->settings->url, to)) return 0;
    lane->redirects++;
    free(lane->url);
    lane->url = xstrdup(to);
    return 1;
}

static int status_passes(int status) {
    return status == 408 || status == 425 || status == 429 ||
           (status >= 500 && status != 501 && status != 505);
}

static void tell_status(struct http_reply *reply) {
    int status = reply->status;

    if (status >= 200 && status < 300)
        tell(reply, HTTP_DONE, 0, 1, "%s", "");
    else if (status >= 300 && status < 400)
        tell(reply, HTTP_REDIRECT, 0, 0, "HTTP %d: the server sends to another host, which is refused",
             status);
    else if (status == 401 || status == 403)
        tell(reply, HTTP_STATUS, 0, 0, "HTTP %d: the key is missing or not accepted", status);
    else if (status == 429)
        tell(reply, HTTP_STATUS, 1, 0, "HTTP 429: too many requests");
    else
        tell(reply, HTTP_STATUS, status_passes(status), 0, "HTTP %d", status);
}

static int is_tls(CURLcode code) {
    return code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
           code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM;
}

/* Whether the request had begun to leave. */
static int was_sent(const struct lane *lane) {
    double begun = 0;

    curl_easy_getinfo(lane->curl, CURLINFO_PRETRANSFER_TIME, &begun);
    return begun > 0;
}

static void tell_failure(struct http_reply *reply, const struct lane *lane, const struct client *client,
                         CURLcode code) {
    const char *why = lane->why[0] ? lane->why : curl_easy_strerror(code);

    if (lane->cut)
        tell(reply, HTTP_TOO_LARGE, 0, 1, "the reply is longer than %zu bytes and was cut off", lane->most);
    else if (code == CURLE_OPERATION_TIMEDOUT && !was_sent(lane))
        tell(reply, HTTP_TIMEOUT, 1, 0, "no connection within %g s",
             fmin(client->settings->connect_seconds, client->settings->seconds));
    else if (code == CURLE_OPERATION_TIMEDOUT)
        tell(reply, HTTP_TIMEOUT, 1, 1, "no whole reply within %g s", client->settings->seconds);
    else if (is_tls(code))
        tell(reply, HTTP_TLS, 0, 0, "the server could not be verified: %s", why);
    else if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
             code == CURLE_COULDNT_RESOLVE_PROXY)
        tell(reply, HTTP_NETWORK, 1, 0, "no connection: %s", why);
    else if (code == CURLE_PARTIAL_FILE)
        tell(reply, HTTP_NETWORK, 1, 1, "the connection broke within the reply");
    else
        tell(reply, HTTP_NETWORK, 1, 1, "the connection broke: %s", why);
}

static struct http_reply examine(struct lane *lane, const struct client *client, CURLcode code) {
    const char *key = client->settings->key;
    struct http_reply reply = {
        .attempts = lane->attempts, .body = lane->body.data, .length = lane->body.length};
    char *type = NULL;
    long status = 0;

    wipe_key(&lane->body, key);
    curl_easy_getinfo(lane->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(lane->curl, CURLINFO_CONTENT_TYPE, &type);
    reply.status = (int)status;
    reply.type = type && !(key && strstr(type, key)) ? type : NULL;
    if (code == CURLE_OK)
        tell_status(&reply);
    else
        tell_failure(&reply, lane, client, code);
    if (reply.end == HTTP_DONE && client->feed->check)
        client->feed->check(client->feed->context, lane->number, &reply);
    return reply;
}

/* Seconds until the next attempt: at least what the server asks for. */
static double pause_before_next(const struct lane *lane, const struct client *client) {
    double doubled = client->settings->backoff * pow(2, lane->attempts - 1 - lane->redirects);
    double own = fmin(doubled, longest_backoff) * (0.5 + jitter(client, lane));
    curl_off_t asked = 0;

    curl_easy_getinfo(lane->curl, CURLINFO_RETRY_AFTER, &asked);
    return asked > 0 ? (double)asked + 0.1 * own : own;
}

/* Whether another attempt is due, and when. */
static int plan_next(struct client *client, struct lane *lane, struct http_reply *reply) {
    double now = monotonic_seconds(), wait = pause_before_next(lane, client);
    size_t used = strlen(reply->reason);

    if (!reply->worth_repeating || lane->attempts - lane->redirects > client->settings->retries) return 0;
    if (wait > client->settings->longest_wait) {
        snprintf(reply->reason + used, sizeof reply->reason - used, "; the server asks to wait %.0f s", wait);
        return 0;
    }
    if (!client->feed->again(client->feed->context, lane->number, reply)) return 0;
    lane->due = now + wait;
    if (reply->status == 429 || reply->status == 503)
        client->paused_until = fmax(client->paused_until, now + wait);
    return 1;
}

static int land(struct client *client, struct lane *lane, CURLcode code, struct error *err) {
    struct http_reply reply = examine(lane, client, code);

    curl_multi_remove_handle(client->multi, lane->curl);
    lane->flying = 0;
    if (reply.end == HTTP_REDIRECT && follow(lane, client)) {
        lane->due = 0;
        return 0;
    }
    if (plan_next(client, lane, &reply)) return 0;
    reply.attempts = lane->attempts - lane->redirects;
    lane->busy = 0;
    return client->feed->done(client->feed->context, lane->number, &reply, err);
}

/* Takes the next request into a lane that is free; 1 if there was one. */
static int take(struct client *client, struct lane *lane) {
    const char *body;
    int number, got = client->feed->next(client->feed->context, &number, &body);

    if (got < 0) client->exhausted = 1;
    if (got <= 0) return 0;
    free(lane->url);
    lane->url = NULL;
    lane->request = body;
    lane->number = number;
    lane->due = 0;
    lane->attempts = lane->redirects = 0;
    lane->busy = 1;
    return 1;
}

/* Sends what may be sent now; tells the seconds until more may be. */
static double send_due(struct client *client) {
    double nap = longest_nap;

    for (int i = 0; i < client->settings->concurrency; i++) {
        struct lane *lane = &client->lanes[i];
        double now = monotonic_seconds(), from = fmax(client->next_send, client->paused_until);

        if (lane->flying || (!lane->busy && client->exhausted)) continue;
        if (lane->busy) from = fmax(from, lane->due);
        if (from > now)
            nap = fmin(nap, from - now);
        else if (lane->busy || take(client, lane))
            send_now(client, lane, now);
    }
    return nap;
}

/* How many ended, or -1. */
static int land_all(struct client *client, struct error *err) {
    CURLMsg *message;
    int left, landed = 0;

    while ((message = curl_multi_info_read(client->multi, &left))) {
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE) continue;
        landed++;
        for (int i = 0; i < client->settings->concurrency; i++)
            if (client->lanes[i].curl == message->easy_handle) {
                if (land(client, &client->lanes[i], code, err)) return -1;
                break;
            }
    }
    return landed;
}

static int is_over(const struct client *client) {
    for (int i = 0; i < client->settings->concurrency; i++)
        if (client->lanes[i].busy) return 0;
    return client->exhausted;
}

static int post_all(struct client *client, struct error *err) {
    for (;;) {
        double nap = send_due(client);
        int running, landed;

        if (is_over(client)) return 0;
        if (curl_multi_perform(client->multi, &running)) return fail(err, "libcurl cannot go on");
        landed = land_all(client, err);
        if (landed < 0) return -1;
        if (!landed) curl_multi_poll(client->multi, NULL, 0, (int)ceil(1000 * nap), NULL);
    }
}

int http_post(const struct http_settings *settings, const struct http_feed *feed, struct error *err) {
    struct client client = {.settings = settings, .feed = feed, .multi = curl_multi_init()};
    int status;

    client.lanes = xcalloc((size_t)settings->concurrency, sizeof *client.lanes);
    make_headers(&client);
    curl_multi_setopt(client.multi, CURLMOPT_MAXCONNECTS, (long)settings->concurrency);
    for (int i = 0; i < settings->concurrency; i++) lane_open(&client.lanes[i], &client);
    status = post_all(&client, err);
    for (int i = 0; i < settings->concurrency; i++) lane_close(&client.lanes[i], &client);
    curl_multi_cleanup(client.multi);
    forget_headers(client.headers);
    free(client.lanes);
    return status;
}
