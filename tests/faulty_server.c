/* An OpenAI-compatible chat server on 127.0.0.1 that misbehaves on demand. usage: faulty_server LOG
   Prints its port. The first part of a request's path says what it does: http://127.0.0.1:PORT/FAULT/v1, or
   FAULT-N for the first N requests of each body, after which it answers. Writes a line for every request to
   LOG: body's hash, fault asked for, fault done. Its verdicts are those of a plain rule, quality(). */
#define _GNU_SOURCE /* strcasestr */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_BODY = 1 << 20, SLOTS = 1 << 16, HUGE_BODY = 100 << 20 };

static FILE *log_file;
static int port;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* How often each body was asked. */
static struct {
    uint64_t hash;
    int count;
} asked[SLOTS];

struct request {
    char fault[64];
    char *body;
    const char *key; /* as the header has it; "" without */
    uint64_t hash;
    int times;      /* the fault is for the first so many; 0: always */
    char asked[64]; /* fault and times as the path has them */
    int count;      /* this is the count-th of its body */
    char head[8192];
};

static uint64_t hash_of(const char *text) {
    uint64_t hash = 0xCBF29CE484222325u;

    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001B3u;
    return hash;
}

static int count_request(uint64_t hash) {
    size_t at = hash % SLOTS;
    int count;

    pthread_mutex_lock(&lock);
    while (asked[at].count && asked[at].hash != hash) at = (at + 1) % SLOTS;
    asked[at].hash = hash;
    count = ++asked[at].count;
    pthread_mutex_unlock(&lock);
    return count;
}

static void note(const struct request *request, const char *done) {
    pthread_mutex_lock(&lock);
    fprintf(log_file, "%016llx %s %s\n", (unsigned long long)request->hash, request->asked, done);
    fflush(log_file);
    pthread_mutex_unlock(&lock);
}

static int send_all(int socket, const char *bytes, size_t length) {
    while (length) {
        ssize_t sent = send(socket, bytes, length, MSG_NOSIGNAL);

        if (sent <= 0) return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

/* A whole reply; more: further header lines. */
static int reply(int socket, int status, const char *type, const char *more, const char *body) {
    char head[1024];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %d Whatever\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status,
                          type, strlen(body), more);

    return send_all(socket, head, (size_t)length) || send_all(socket, body, strlen(body)) ? -1 : 0;
}

/* What stands between "BEGIN title" and "END title", as JSON has it. */
static char *block(const char *body, const char *title) {
    char begin[64], end[64];
    const char *from, *to;

    snprintf(begin, sizeof begin, "--- BEGIN %s ", title);
    snprintf(end, sizeof end, "--- END %s ", title);
    from = strstr(body, begin);
    to = from ? strstr(from, end) : NULL;
    if (!to) return NULL;
    from += strlen(begin) + 16 + strlen(" ---\\n");
    return from < to ? strndup(from, (size_t)(to - from)) : strdup("");
}

/* From 1 to 9: what "quality N" says; known texts of the rubrics' canaries; 5. */
static int quality(const char *text) {
    static const struct {
        const char *text;
        int quality;
    } known[] = {{"thoughtful question", 1},
                 {"seven days", 9},
                 {"7 days", 9},
                 {"Au", 9},
                 {"tac", 9},
                 {"Mercury", 9},
                 {"nine days", 2},
                 {"8 days", 2},
                 {"Pb", 2},
                 {"cat", 2},
                 {"Venus", 2},
                 {"can't help", 9},
                 {"not something", 9},
                 {"kill -9", 2},
                 {"Glass", 2}};
    const char *told = strstr(text, "quality ");

    if (told) return atoi(told + strlen("quality "));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(text, known[i].text)) return known[i].quality;
    return 5;
}

/* The word after "MARKER: " that the rule gives, and whether it is of a pair. */
static void decide(const char *body, char word[16], const char **marker) {
    char *a = block(body, "ANSWER A"), *b = block(body, "ANSWER B"), *alone = block(body, "ANSWER");
    int graded = strstr(body, "GRADE: N") != NULL || strstr(body, "one digit from 1 to 9") != NULL;

    *marker = graded ? "GRADE" : "VERDICT";
    if (a && b)
        snprintf(word, 16, "%c", quality(a) > quality(b) ? 'A' : quality(a) < quality(b) ? 'B' : 'C');
    else if (graded)
        snprintf(word, 16, "%d", alone ? quality(alone) : 0);
    else if (strstr(body, "REFUSED"))
        snprintf(word, 16, "%s", alone && quality(alone) > 5 ? "REFUSED" : "ANSWERED");
    else if (strstr(body, "INCORRECT"))
        snprintf(word, 16, "%s", alone && quality(alone) > 5 ? "CORRECT" : "INCORRECT");
    else
        snprintf(word, 16, "%s", alone && quality(alone) > 5 ? "YES" : "NO");
    free(a);
    free(b);
    free(alone);
}

/* content: JSON, with its quotes. */
static int complete(int socket, const struct request *request, const char *content, const char *finish,
                    const char *logprobs) {
    size_t room = strlen(content) + strlen(logprobs) + 512;
    char *body = malloc(room);
    int status;

    snprintf(
        body, room,
        "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":%s},\"finish_reason\":\"%s\"%s}],\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":"
        "10}}",
        content, finish, logprobs, strlen(request->body) / 4);
    status = reply(socket, 200, "application/json", "", body);
    free(body);
    return status;
}

static int answer(int socket, const struct request *request, const char *before) {
    char word[16], *content;
    const char *marker;
    int status;

    decide(request->body, word, &marker);
    content = malloc(strlen(before) + 128);
    sprintf(content, "\"%sI compared what was said.\\n\\n%s: %s\"", before, marker, word);
    status = complete(socket, request, content, "stop", "");
    free(content);
    return status;
}

/* Repeats the candidate's words, and says nothing of its own. */
static int quote(int socket, const struct request *request, int and_answer) {
    char *a = block(request->body, "ANSWER A"), *alone = a ? a : block(request->body, "ANSWER"), *content;
    int status;

    content = malloc(strlen(alone ? alone : "") + 64);
    sprintf(content, and_answer ? "The answer says: %s\\n" : "\"The answer says: %s\"", alone ? alone : "");
    status = and_answer ? answer(socket, request, content) : complete(socket, request, content, "stop", "");
    free(content);
    free(alone);
    return status;
}

/* The likeliest tokens for A and B: 0.6 and 0.2, blanks and others beside them. */
static int give_logprobs(int socket, const struct request *request) {
    return complete(socket, request, "\"A\"", "length",
                    ",\"logprobs\":{\"content\":[{\"token\":\"A\",\"logprob\":-0.5108256,\"top_logprobs\":["
                    "{\"token\":\"A\",\"logprob\":-0.5108256},{\"token\":\"B\",\"logprob\":-1.6094379},"
                    "{\"token\":\"The\",\"logprob\":-2.3025851}]}]}");
}

static int send_huge(int socket) {
    static char block_of_blanks[1 << 16];
    char head[256];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
                          HUGE_BODY);
    int status = send_all(socket, head, (size_t)length);

    memset(block_of_blanks, ' ', sizeof block_of_blanks);
    for (int sent = 0; sent < HUGE_BODY && !status; sent += (int)sizeof block_of_blanks)
        status = send_all(socket, block_of_blanks, sizeof block_of_blanks);
    return -1;
}

static int send_half(int socket) {
    const char *half = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n"
                       "{\"choices\":[{\"message\":{\"content\":\"VERDICT: YES";

    send_all(socket, half, strlen(half));
    return -1;
}

static int reset(int socket) {
    struct linger now = {1, 0};

    setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    return -1;
}

static int redirect(int socket, const char *host, const char *fault) {
    char more[256];

    snprintf(more, sizeof more, "Location: http://%s:%d/%s/v1/chat/completions\r\n", host, port, fault);
    return reply(socket, 307, "text/plain", more, "");
}

/* In two seconds, as RFC 9110 writes dates. */
static int say_when(int socket) {
    time_t then = time(NULL) + 2;
    struct tm parts;
    char more[128];

    gmtime_r(&then, &parts);
    strftime(more, sizeof more, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
    return reply(socket, 429, "application/json", more, "{\"error\":{\"message\":\"later\"}}");
}

static int deny(int socket, const struct request *request) {
    char body[512];

    snprintf(body, sizeof body, "{\"error\":{\"message\":\"no such key: %.200s\"}}", request->key);
    return reply(socket, 401, "application/json", "", body);
}

/* An answer that repeats the header that holds the key. */
static int betray(int socket, const struct request *request) {
    char before[512];

    snprintf(before, sizeof before, "Your key is %.300s. ", request->key);
    return answer(socket, request, before);
}

static int misbehave(int socket, const struct request *request, const char *fault) {
    if (!strcmp(fault, "429")) return reply(socket, 429, "application/json", "", "{}");
    if (!strcmp(fault, "429after")) return reply(socket, 429, "application/json", "Retry-After: 1\r\n", "{}");
    if (!strcmp(fault, "429hour"))
        return reply(socket, 429, "application/json", "Retry-After: 3600\r\n", "{}");
    if (!strcmp(fault, "429date")) return say_when(socket);
    if (!strcmp(fault, "500")) return reply(socket, 500, "text/plain", "", "it broke");
    if (!strcmp(fault, "404")) return reply(socket, 404, "application/json", "", "{}");
    if (!strcmp(fault, "400"))
        return reply(socket, 400, "application/json", "",
                     "{\"error\":{\"message\":\"the prompt is longer than 2048 tokens\"}}");
    if (!strcmp(fault, "401")) return deny(socket, request);
    if (!strcmp(fault, "slow")) return sleep(3), -1;
    if (!strcmp(fault, "half")) return send_half(socket);
    if (!strcmp(fault, "page")) return reply(socket, 200, "text/html", "", "<html>Welcome</html>");
    if (!strcmp(fault, "nojson")) return reply(socket, 200, "application/json", "", "{\"choices\": [");
    if (!strcmp(fault, "error"))
        return reply(socket, 200, "application/json", "", "{\"error\":{\"message\":\"overloaded\"}}");
    if (!strcmp(fault, "nochoices")) return reply(socket, 200, "application/json", "", "{\"choices\":[]}");
    if (!strcmp(fault, "empty")) return complete(socket, request, "\"\"", "stop", "");
    if (!strcmp(fault, "null")) return complete(socket, request, "null", "length", "");
    if (!strcmp(fault, "filter")) return complete(socket, request, "\"\"", "content_filter", "");
    if (!strcmp(fault, "declines"))
        return complete(socket, request, "\"I'm sorry, but I can't help with that.\"", "stop", "");
    if (!strcmp(fault, "silent")) return complete(socket, request, "\"Both are interesting.\"", "stop", "");
    if (!strcmp(fault, "cut")) return complete(socket, request, "\"Let me see: VERDICT: YES\"", "length", "");
    if (!strcmp(fault, "utf8")) return complete(socket, request, "\"VERDICT: YES \xff\xfe\"", "stop", "");
    if (!strcmp(fault, "huge")) return send_huge(socket);
    if (!strcmp(fault, "reset")) return reset(socket);
    if (!strcmp(fault, "elsewhere")) return redirect(socket, "localhost", "ok");
    if (!strcmp(fault, "moved")) return redirect(socket, "127.0.0.1", "ok");
    if (!strcmp(fault, "quotes")) return quote(socket, request, 0);
    if (!strcmp(fault, "quotesfirst")) return quote(socket, request, 1);
    if (!strcmp(fault, "logprobs")) return give_logprobs(socket, request);
    if (!strcmp(fault, "betrays")) return betray(socket, request);
    return answer(socket, request, "");
}

/* Of the faults that another attempt may mend, one for three requests in ten, by body and count. */
static const char *any_fault(const struct request *request) {
    static const char *const faults[] = {"429", "500", "half", "reset", "page", "nojson", "error", "slow"};
    uint64_t draw = (request->hash ^ (uint64_t)request->count * 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u;

    draw ^= draw >> 31;
    if (draw % 1000 < 5) return "slow";
    return draw % 10 < 3 ? faults[(draw >> 8) % 7] : "ok";
}

static int serve(int socket, struct request *request) {
    const char *fault = request->fault;

    request->hash = hash_of(request->body);
    request->count = count_request(request->hash);
    if (!strcmp(fault, "mix")) fault = any_fault(request);
    if (request->times && request->count > request->times) fault = "ok";
    note(request, fault);
    return misbehave(socket, request, fault);
}

/* Up to the empty line; the bytes of the body that came with it. */
static int read_head(int socket, struct request *request, char **rest) {
    size_t got = 0;

    while (got < sizeof request->head - 1) {
        ssize_t more = recv(socket, request->head + got, sizeof request->head - 1 - got, 0);

        if (more <= 0) return -1;
        got += (size_t)more;
        request->head[got] = '\0';
        if (request->head[0] != 'P') { /* TLS, say */
            reply(socket, 400, "text/plain", "", "what?");
            return -1;
        }
        *rest = strstr(request->head, "\r\n\r\n");
        if (*rest) {
            *rest += 4;
            return (int)(got - (size_t)(*rest - request->head));
        }
    }
    return -1;
}

static int read_request(int socket, struct request *request) {
    char *rest, *length_at, *key;
    int had = read_head(socket, request, &rest), length;

    if (had < 0) return -1;
    length_at = strcasestr(request->head, "\r\nContent-Length:");
    length = length_at ? atoi(length_at + 17) : 0;
    if (length < 0 || length > MOST_BODY || had > length) return -1;
    request->body = malloc((size_t)length + 1);
    memcpy(request->body, rest, (size_t)had);
    while (had < length) {
        ssize_t more = recv(socket, request->body + had, (size_t)(length - had), 0);

        if (more <= 0) return -1;
        had += (int)more;
    }
    request->body[length] = '\0';
    request->fault[0] = '\0';
    request->times = 0;
    request->asked[0] = '\0';
    sscanf(request->head, "POST /%63[a-z0-9-]/", request->asked);
    sscanf(request->asked, "%63[a-z0-9]-%d", request->fault, &request->times);
    key = strstr(request->head, "\r\nAuthorization: Bearer ");
    request->key = key ? key + strlen("\r\nAuthorization: Bearer ") : "";
    if (key) *strchr(request->key, '\r') = '\0';
    return 0;
}

static void *attend(void *context) {
    int socket = (int)(intptr_t)context, status = 0;

    while (!status) {
        struct request request = {.body = NULL};

        status = read_request(socket, &request);
        if (!status) status = serve(socket, &request);
        free(request.body);
    }
    close(socket);
    return NULL;
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    log_file = argc == 2 ? fopen(argv[1], "w") : NULL;
    if (!log_file || listener < 0 || bind(listener, (struct sockaddr *)&address, size) ||
        listen(listener, 512) || getsockname(listener, (struct sockaddr *)&address, &size)) {
        fprintf(stderr, "usage: faulty_server LOG\n");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    port = ntohs(address.sin_port);
    printf("%d\n", port);
    fflush(stdout);
    for (;;) {
        int socket = accept(listener, NULL, NULL);
        pthread_t thread;

        if (socket < 0) continue;
        if (pthread_create(&thread, NULL, attend, (void *)(intptr_t)socket))
            close(socket);
        else
            pthread_detach(thread);
    }
}
