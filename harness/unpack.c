#include "harness/unpack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "harness/memory.h"

enum { BLOCK = 1 << 16 };

struct unpack {
    char *path;
    gzFile gzip; /* also of files that are not packed */
    FILE *file;  /* of zstd, as are the others */
    ZSTD_DStream *zstd;
    ZSTD_inBuffer packed;
    size_t unfinished; /* what zstd still expects: 0 between two frames */
    char block[BLOCK];
};

static int is_zstd(const char *path) {
    static const unsigned char magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
    unsigned char first[4] = {0};
    FILE *in = fopen(path, "rb");
    int found = in && fread(first, 1, 4, in) == 4 && !memcmp(first, magic, 4);

    if (in) fclose(in);
    return found;
}

struct unpack *unpack_open(const char *path, struct error *err) {
    struct unpack *in = xcalloc(1, sizeof *in);

    in->path = xstrdup(path);
    errno = 0;
    if (is_zstd(path)) {
        in->file = fopen(path, "rb");
        in->zstd = ZSTD_createDStream();
    } else {
        in->gzip = gzopen(path, "rb");
    }
    if (in->gzip || (in->file && in->zstd)) return in;
    fail(err, "cannot read %s: %s", path, errno ? strerror(errno) : "out of memory");
    unpack_close(in);
    return NULL;
}

static long read_gzip(struct unpack *in, char *out, size_t room, struct error *err) {
    int code, got = gzread(in->gzip, out, (unsigned)room);

    if (got < 0 && errno == EISDIR)
        return fail(err, "cannot read %s: it is a folder, a file was expected", in->path);
    if (got < 0) {
        gzerror(in->gzip, &code);
        return fail(err, "cannot read %s: the gzip data %s", in->path,
                    code == Z_BUF_ERROR ? "ends too early" : "is damaged");
    }
    if (got > 0) return got;
    gzerror(in->gzip, &code);
    return code == Z_BUF_ERROR ? fail(err, "cannot read %s: the gzip data ends too early", in->path) : 0;
}

/* 1 where there are packed bytes, 0 at the file's end. */
static int fill_block(struct unpack *in, struct error *err) {
    if (in->packed.pos < in->packed.size) return 1;
    in->packed = (ZSTD_inBuffer){in->block, fread(in->block, 1, BLOCK, in->file), 0};
    if (ferror(in->file)) return fail(err, "cannot read %s: %s", in->path, strerror(errno));
    return in->packed.size > 0;
}

static long read_zstd(struct unpack *in, char *out, size_t room, struct error *err) {
    ZSTD_outBuffer unpacked = {out, room, 0};

    while (!unpacked.pos) {
        int more = fill_block(in, err);

        if (more < 0) return -1;
        if (!more && !in->unfinished) return 0;
        in->unfinished = ZSTD_decompressStream(in->zstd, &unpacked, &in->packed);
        if (ZSTD_isError(in->unfinished))
            return fail(err, "cannot read %s: the zstd data is damaged (%s)", in->path,
                        ZSTD_getErrorName(in->unfinished));
        if (!more && !unpacked.pos)
            return fail(err, "cannot read %s: the zstd data ends too early", in->path);
    }
    return (long)unpacked.pos;
}

long unpack_read(struct unpack *in, char *out, size_t room, struct error *err) {
    return in->gzip ? read_gzip(in, out, room, err) : read_zstd(in, out, room, err);
}

void unpack_close(struct unpack *in) {
    if (!in) return;
    if (in->gzip) gzclose(in->gzip);
    if (in->file) fclose(in->file);
    ZSTD_freeDStream(in->zstd);
    free(in->path);
    free(in);
}
