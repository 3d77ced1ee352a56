/* A server of files on 127.0.0.1 that misbehaves on demand: file_server ROOT LOG prints its port, then serves
   /MODE/PATH from ROOT/PATH and writes a line "MODE/PATH FIRST_BYTE HOST[ token]" for every request to LOG.
   Ends by itself after two minutes. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *root;
static FILE *log_file;
static int port, busy;

struct request {
    char mode[16], path[1024], host[64];
    long from;                       /* first byte asked for; 0: all */
    int ranged, has_token, is_right; /* the token, if there is one, is "secret" */
};

struct body {
    char *bytes;
    long length;
};

static void send_all(int to, const char *bytes, long length) {
    while (length > 0) {
        long sent = write(to, bytes, (size_t)length);

        if (sent <= 0) return;
        bytes += sent;
        length -= sent;
    }
}

static void send_head(int to, const char *status, const char *type, long length, const char *more) {
    char head[2048];

    snprintf(head, sizeof head,
             "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %ld\r\nConnection: close\r\n%s\r\n", status,
             type, length, more);
    send_all(to, head, (long)strlen(head));
}

static int read_request(int from, struct request *out) {
    char text[8192];
    long got, length = 0;
    const char *range;

    do {
        got = read(from, text + length, sizeof text - 1 - (size_t)length);
        if (got <= 0) return -1;
        length += got;
        text[length] = 0;
    } while (!strstr(text, "\r\n\r\n") && length < (long)sizeof text - 1);
    *out = (struct request){0};
    if (sscanf(text, "GET /%15[^/ ]/%1023s", out->mode, out->path) != 2) return -1;
    out->has_token = strstr(text, "Authorization:") != NULL;
    out->is_right = strstr(text, "Authorization: Bearer secret\r\n") != NULL;
    range = strstr(text, "Host: ");
    if (range) sscanf(range, "Host: %63[^:\r]", out->host);
    range = strstr(text, "Range: bytes=");
    out->ranged = range && sscanf(range, "Range: bytes=%ld-", &out->from) == 1;
    return 0;
}

static int read_body(const char *path, struct body *out) {
    char name[4096];
    FILE *in;

    snprintf(name, sizeof name, "%s/%s", root, path);
    in = fopen(name, "rb");
    if (!in) return -1;
    fseek(in, 0, SEEK_END);
    out->length = ftell(in);
    rewind(in);
    out->bytes = malloc((size_t)out->length + 1);
    out->length = (long)fread(out->bytes, 1, (size_t)out->length, in);
    fclose(in);
    return 0;
}

static void send_range(int to, const struct request *request, const struct body *body) {
    char range[128] = "";

    if (request->ranged && request->from >= body->length) {
        snprintf(range, sizeof range, "Content-Range: bytes */%ld\r\n", body->length);
        send_head(to, "416 Range Not Satisfiable", "text/plain", 0, range);
        return;
    }
    if (request->ranged)
        snprintf(range, sizeof range, "Content-Range: bytes %ld-%ld/%ld\r\n", request->from, body->length - 1,
                 body->length);
    send_head(to, request->ranged ? "206 Partial Content" : "200 OK", "text/plain",
              body->length - request->from, range);
    send_all(to, body->bytes + request->from, body->length - request->from);
}

static void redirect(int to, const char *host, const char *mode, const char *path) {
    char where[1200];

    snprintf(where, sizeof where, "Location: http://%s:%d/%s/%s\r\n", host, port, mode, path);
    send_head(to, "302 Found", "text/plain", 0, where);
}

static void send_drip(int to, const struct request *request, const struct body *body) {
    long left = body->length - request->from, most = body->length / 3 + 1;
    char range[128];

    snprintf(range, sizeof range, "Content-Range: bytes %ld-%ld/%ld\r\n", request->from, body->length - 1,
             body->length);
    send_head(to, request->ranged ? "206 Partial Content" : "200 OK", "text/plain", left,
              request->ranged ? range : "");
    send_all(to, body->bytes + request->from, left < most ? left : most);
}

static void send_endlessly(int to, const struct body *body) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";

    send_all(to, head, (long)sizeof head - 1);
    for (int i = 0; i < 1000; i++) send_all(to, body->bytes, body->length);
}

static void answer(int to, const struct request *request) {
    static const char page[] = "<html>Please log in.</html>";
    struct body body;
    const char *mode = request->mode;
    long half;

    if (!strcmp(mode, "missing") || read_body(request->path, &body)) {
        send_head(to, "404 Not Found", "text/plain", 0, "");
        return;
    }
    half = body.length / 2;
    if (!strcmp(mode, "breaks") && !request->ranged) { /* half of it, and the line is cut */
        send_head(to, "200 OK", "text/plain", body.length, "");
        send_all(to, body.bytes, half);
    } else if (!strcmp(mode, "noranges")) { /* all of it, whatever was asked */
        send_head(to, "200 OK", "text/plain", body.length, "");
        send_all(to, body.bytes, body.length);
    } else if (!strcmp(mode, "short")) { /* says that half is all */
        send_head(to, "200 OK", "text/plain", half, "");
        send_all(to, body.bytes, half);
    } else if (!strcmp(mode, "long")) { /* promises more than there is */
        send_head(to, "200 OK", "text/plain", 2 * body.length, "");
        send_all(to, body.bytes, body.length);
    } else if (!strcmp(mode, "wrong")) { /* another file of the same size */
        body.bytes[0] ^= 1;
        send_range(to, request, &body);
    } else if (!strcmp(mode, "page")) {
        send_head(to, "200 OK", "text/html; charset=utf-8", (long)sizeof page - 1, "");
        send_all(to, page, (long)sizeof page - 1);
    } else if (!strcmp(mode, "redirect")) {
        redirect(to, "127.0.0.1", "plain", request->path);
    } else if (!strcmp(mode, "loop")) {
        redirect(to, "127.0.0.1", "loop", request->path);
    } else if (!strcmp(mode, "elsewhere")) { /* weights lie on another host */
        if (strstr(request->path, "/resolve/"))
            redirect(to, "localhost", "plain", request->path);
        else
            send_range(to, request, &body);
    } else if (!strcmp(mode, "token")) {
        if (request->is_right)
            send_range(to, request, &body);
        else
            send_head(to, request->has_token ? "403 Forbidden" : "401 Unauthorized", "text/plain", 0, "");
    } else if (!strcmp(mode, "busy") && busy < 2) {
        busy++;
        send_head(to, "429 Too Many Requests", "text/plain", 0, "Retry-After: 1\r\n");
    } else if (!strcmp(mode, "closed")) {
        send_head(to, "429 Too Many Requests", "text/plain", 0, "Retry-After: 86400\r\n");
    } else if (!strcmp(mode, "drips")) { /* a part of what was asked for, and the line is cut */
        send_drip(to, request, &body);
    } else if (!strcmp(mode, "endless")) {
        send_endlessly(to, &body);
    } else if (!strcmp(mode, "fails")) {
        send_head(to, "500 Internal Server Error", "text/plain", 0, "");
    } else {
        send_range(to, request, &body);
    }
    free(body.bytes);
}

static int listen_somewhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 16) ||
        getsockname(fd, (struct sockaddr *)&address, &size))
        return -1;
    port = ntohs(address.sin_port);
    return fd;
}

int main(int count, char **words) {
    int fd = listen_somewhere();

    if (count != 3 || fd < 0) return 1;
    root = words[1];
    log_file = fopen(words[2], "w");
    if (!log_file) return 1;
    signal(SIGPIPE, SIG_IGN);
    alarm(120);
    printf("%d\n", port);
    fflush(stdout);
    for (;;) {
        int client = accept(fd, NULL, NULL);
        struct request request;

        if (client < 0) continue;
        if (!read_request(client, &request)) {
            fprintf(log_file, "%s/%s %ld %s%s\n", request.mode, request.path, request.from, request.host,
                    request.has_token ? " token" : "");
            fflush(log_file);
            answer(client, &request);
        }
        close(client);
    }
}
