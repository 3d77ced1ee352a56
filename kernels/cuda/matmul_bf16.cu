#include "kernels/cuda/ending.cuh"

/* Matrix products on tensor cores, of operands and weights in bf16: sums in single precision, sixteen k at a
 * time, ascending from base on; so a row's result depends on that row alone, whatever the tile.
 *
 * What bounds a product is where its operands come from. A warp reads HIGH + WIDE of them from shared memory
 * for HIGH x WIDE multiply-adds, of which a multiprocessor makes 1024 while it reads 64 operands: 32 x 32 is
 * the least that keeps both busy, and 64 x 64, the most that registers hold, leaves the reading at half its
 * rate. A block likewise reads ROWS + COLS of them from the second-level cache, which gives each
 * multiprocessor some 12 a clock: even 128 x 256 waits for it. So the tiles are as large as registers and
 * shared memory allow, unless there would be too few of them for all multiprocessors; cost_of() weighs the
 * two. */

#define DEPTH 64 /* of k a stage: lines of 128 bytes, which are all banks of shared memory once */
#define STEP  16 /* of k a multiply() */

/* ROWS x COLS of out a block, HIGH x WIDE of it a warp; STAGES of k on their way or at work; so many blocks
 * TOGETHER on a multiprocessor, of which one computes while another waits for what begins and ends its tile.
 */
template <int ROWS_, int COLS_, int HIGH_, int WIDE_, int STAGES_, int TOGETHER_> struct shape {
    static const int ROWS = ROWS_, COLS = COLS_, HIGH = HIGH_, WIDE = WIDE_, STAGES = STAGES_;
    static const int ACROSS = COLS / WIDE, WARPS = ROWS / HIGH * ACROSS, THREADS = WARPS * WARP;
    static const int TALL = HIGH / 16, BROAD = WIDE / 8; /* fragments of a warp */
    static const int STAGE = (ROWS + COLS) * DEPTH;      /* elements */
    static const int PITCH = WIDE + 8; /* floats a line of sums: four lines' pairs are on different banks */
    static const int LOADED = STAGES * STAGE * (int)sizeof(bf16),
                     SUMS = WARPS * HIGH * PITCH * (int)sizeof(float);
    static const int SHARED = LOADED > SUMS ? LOADED : SUMS; /* bytes */
    static const int READING = 64 * HIGH * WIDE / (HIGH + WIDE), RATE = READING < 1024 ? READING : 1024;
    static const int OPERAND_BYTES = sizeof(bf16), TOGETHER = TOGETHER_;
};

typedef shape<16, 32, 16, 16, 8, 4>
    flat; /* few rows: much of the weights on its way, over many multiprocessors */
typedef shape<64, 32, 32, 16, 6, 3> narrow;
typedef shape<64, 64, 32, 32, 4, 3> small;
typedef shape<128, 128, 64, 64, 3, 2> middle;
typedef shape<128, 192, 64, 48, 3, 1> large; /* GPT-2's width of 768 is four of them, and three of the next */
typedef shape<128, 256, 64, 64, 3, 1> huge;

/* A side's stage in shared memory, in lines of CHUNKS times 8 elements: [at][k] if k lies together (ALONG),
 * else panels of columns, each [k][at]. A line's chunks are swapped by the line's number, so that the eight
 * lines whose same chunk is read at a time are on different banks. */
template <bool ALONG, int SIZE> struct stage {
    static const unsigned CHUNKS = ALONG || SIZE >= 64 ? 8 : SIZE / 8, LINE = CHUNKS * 8;

    static __device__ __forceinline__ unsigned place(unsigned line, unsigned chunk) {
        return line * LINE + (chunk ^ line / (8 / CHUNKS) % CHUNKS) * 8;
    }
};

/* A lane's place in a side's stage for load_matrices(): of `at` and `at` + 8, k and k + 8 from the warp's
 * first on, the two of one k first if K_LAST, else the two of one `at`. SPAN: rows or columns of a warp. */
template <bool ALONG, int SIZE, int SPAN, bool K_LAST> struct reader {
    typedef stage<ALONG, SIZE> from;
    unsigned first, row, deep, place;

    __device__ __forceinline__ void begin(unsigned at) {
        unsigned lane = threadIdx.x % WARP, which = lane / 8;

        first = at + (K_LAST ? which % 2 : which / 2) * 8;
        deep = (K_LAST ? which / 2 : which % 2) * 8;
        row = lane % 8;
        place = ALONG ? from::place(first + row, deep / 8) : across(0);
    }

    __device__ __forceinline__ unsigned across(unsigned i) const {
        unsigned at = first + 16 * i;

        return from::place(at / from::LINE * DEPTH + deep + row, at / 8 % from::CHUNKS);
    }

    /* Fragment i at k. What they add to a chunk's number is in bits where the first's has none, but for
     * fragments that go on in the next panel. */
    __device__ __forceinline__ void read(unsigned out[4], const bf16 *shared, unsigned i, unsigned k) const {
        if (ALONG)
            load_matrices(out, shared + (place ^ k) + 16 * i * from::LINE);
        else if (64 % SPAN == 0)
            load_turned_matrices(out, shared + (place ^ 16 * i) + k * from::LINE);
        else
            load_turned_matrices(out, shared + across(i) + k * from::LINE);
    }
};

/* A thread's share of bringing one side's stages, 16 bytes at a time: the same chunk of every PASS-th line.
 * Of rows and columns outside nothing is brought, and what is made of them is not kept; k outside is zeros.
 */
template <bool ALONG, int SIZE, int THREADS> struct supply {
    typedef stage<ALONG, SIZE> to;
    static const int PASS = THREADS / to::CHUNKS, EACH = SIZE * DEPTH / 8 / THREADS;
    static_assert(DEPTH % PASS == 0 && PASS % 8 == 0 && EACH * THREADS * 8 == SIZE * DEPTH, "whole passes");
    const bf16 *next;
    int place, count, left; /* elements from here to the last row or column, and to the last k */

    __device__ __forceinline__ void begin(const bf16 *data, int stride, int first, int lines, int depth) {
        int line = threadIdx.x / to::CHUNKS, chunk = threadIdx.x % to::CHUNKS * 8;

        next = ALONG ? data + (size_t)(first + line) * stride + chunk
                     : data + (size_t)line * stride + first + chunk;
        place = to::place(line, chunk / 8);
        count = lines - first - (ALONG ? line : chunk);
        left = depth - (ALONG ? chunk : line);
    }

    __device__ __forceinline__ void bring(bf16 *shared, int stride) {
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            int at = ALONG ? i * PASS : i * PASS / DEPTH * 64, k = ALONG ? 0 : i * PASS % DEPTH;
            const bf16 *from = next + (ALONG ? (size_t)at * stride : (size_t)k * stride + at);

            if (at < count) copy_async(shared + place + i * PASS * to::LINE, from, k < left ? 16 : 0);
        }
        next += ALONG ? DEPTH : (size_t)DEPTH * stride;
        left -= DEPTH;
    }
};

/* The operands of one multiply() of each of a warp's fragments. */
template <class S> struct fragments {
    unsigned x[S::TALL][4], y[S::BROAD / 2][4];

    template <class LEFT, class RIGHT>
    __device__ __forceinline__ void read(const LEFT &left, const RIGHT &right, const bf16 *shared,
                                         unsigned k) {
#pragma unroll
        for (int i = 0; i < S::TALL; i++) left.read(x[i], shared, i, k);
#pragma unroll
        for (int j = 0; j < S::BROAD / 2; j++) right.read(y[j], shared + S::ROWS * DEPTH, j, k);
    }
};

template <class S>
static __device__ __forceinline__ void multiply_all(float sum[S::TALL][S::BROAD][4], const fragments<S> &of) {
#pragma unroll
    for (int i = 0; i < S::TALL; i++)
#pragma unroll
        for (int j = 0; j < S::BROAD; j++) multiply(sum[i][j], of.x[i], of.y[j / 2] + j % 2 * 2);
}

/* Two neighbours of base, which lie on their alignment if WIDE; 0 where there are none. */
template <bool WIDE>
static __device__ __forceinline__ void base_pair(float out[2], const struct product &p, int r, int c) {
    const float *base = p.base + (size_t)r * p.cols + c;

    out[0] = out[1] = 0;
    if (r >= p.rows || c >= p.cols) return;
    if (WIDE) {
        load<2>(out, base);
    } else {
        out[0] = base[0];
        if (c + 1 < p.cols) out[1] = base[1];
    }
}

template <class S, bool WIDE>
static __device__ __forceinline__ void read_base(float sum[S::TALL][S::BROAD][4], const struct product &p,
                                                 int row, int col) {
    int r = row + threadIdx.x % WARP / 4, c = col + threadIdx.x % 4 * 2;

#pragma unroll
    for (int i = 0; i < S::TALL; i++)
#pragma unroll
        for (int j = 0; j < S::BROAD; j++) {
            base_pair<WIDE>(sum[i][j], p, r + 16 * i, c + 8 * j);
            base_pair<WIDE>(sum[i][j] + 2, p, r + 16 * i + 8, c + 8 * j);
        }
}

template <class S>
static __device__ __forceinline__ void begin_sums(float sum[S::TALL][S::BROAD][4], const struct product &p,
                                                  int row, int col) {
    if (p.base && p.cols % 2 == 0 && (size_t)p.base % 8 == 0) {
        read_base<S, true>(sum, p, row, col);
    } else if (p.base) {
        read_base<S, false>(sum, p, row, col);
    } else {
#pragma unroll
        for (int i = 0; i < S::TALL; i++)
#pragma unroll
            for (int j = 0; j < S::BROAD; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) sum[i][j][e] = 0;
    }
}

/* A warp's sums, bias added, to shared[HIGH][PITCH]. Where there is none it is -0, which changes no number.
 */
template <class S>
static __device__ __forceinline__ void lay_out(float *shared, const float sum[S::TALL][S::BROAD][4],
                                               const struct product &p, int col) {
    int r = threadIdx.x % WARP / 4, c = threadIdx.x % 4 * 2;

#pragma unroll
    for (int j = 0; j < S::BROAD; j++) {
        int at = col + c + 8 * j;
        float first = p.bias && at < p.cols ? p.bias[at] : -0.0f;
        float second = p.bias && at + 1 < p.cols ? p.bias[at + 1] : -0.0f;

#pragma unroll
        for (int i = 0; i < S::TALL; i++) {
            float *line = shared + (16 * i + r) * S::PITCH + 8 * j + c;

            *(float2 *)line = make_float2(sum[i][j][0] + first, sum[i][j][1] + second);
            *(float2 *)(line + 8 * S::PITCH) = make_float2(sum[i][j][2] + first, sum[i][j][3] + second);
        }
    }
}

/* Number i of the groups of EACH neighbours in a warp's tile. */
template <class S, int EACH> struct place_in_tile {
    static const int ACROSS = S::WIDE / EACH, ALL = S::HIGH * ACROSS / WARP;
    int r, c;

    __device__ __forceinline__ place_in_tile(int i)
        : r((i * WARP + threadIdx.x % WARP) / ACROSS), c((i * WARP + threadIdx.x % WARP) % ACROSS * EACH) {
    }
    __device__ __forceinline__ bool inside(const struct product &p, int row, int col) const {
        return row + r < p.rows && col + c < p.cols;
    }
    __device__ __forceinline__ size_t at(const struct product &p, int row, int col) const {
        return (size_t)(row + r) * p.cols + col + c;
    }
};

/* What lay_out() left, neighbouring lanes taking neighbouring groups. What else is read is asked for in
 * batches, so that it is waited for less often. */
template <class S, enum ending ENDING, int EACH>
static __device__ __forceinline__ void write_out(const float *shared, const struct product &p, int row,
                                                 int col) {
    typedef place_in_tile<S, EACH> place;
    const int BATCH = place::ALL < 4 ? place::ALL : 4;
    static_assert(place::ALL % BATCH == 0, "whole batches");

#pragma unroll 1
    for (int done = 0; done < place::ALL; done += BATCH) {
        float before[BATCH][EACH];

#pragma unroll
        for (int j = 0; j < BATCH && ENDING == GELU_SLOPE; j++) {
            place in(done + j);

            if (in.inside(p, row, col))
                read_few<EACH>(before[j], (const bf16 *)p.before + in.at(p, row, col));
        }
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            place in(done + j);
            float sum[EACH];

            if (!in.inside(p, row, col)) continue;
            read_few<EACH>(sum, shared + in.r * S::PITCH + in.c);
            end_sums<ENDING, EACH>(sum, before[j], p, in.at(p, row, col));
        }
    }
}

/* wide: arrays with out's lines may be read and written in 16 bytes. */
template <class S, enum ending ENDING>
static __device__ __forceinline__ void write_tile(const float *shared, const struct product &p, int row,
                                                  int col, bool wide) {
    const int EACH = ENDING == SUM ? 4 : 8;

    if (wide)
        write_out<S, ENDING, EACH>(shared, p, row, col);
    else
        write_out<S, ENDING, 1>(shared, p, row, col);
}

/* Where a block's tile lies: neighbouring blocks, which run at a time, make a rectangle of BAND tiles high,
 * so that they read the same rows and columns from the second-level cache. */
#define BAND 8

template <class S>
static __device__ __forceinline__ void find_tile(const struct product &p, int *row, int *col) {
    int down = (p.rows + S::ROWS - 1) / S::ROWS, across = (p.cols + S::COLS - 1) / S::COLS;
    int first = blockIdx.x / (BAND * across) * BAND, high = down - first < BAND ? down - first : BAND;
    int within = blockIdx.x % (BAND * across);

    *row = (first + within % high) * S::ROWS;
    *col = within / high * S::COLS;
}

/* One block's tile. While a stage is multiplied, the next ones are on their way; while one STEP of it is, the
 * next one's fragments are. One barrier a stage: it says that the next stage is there, for all, and that all
 * have read the last fragments of this one, whose place the stage that is then asked for takes. */
template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static __global__ void __launch_bounds__(S::THREADS, S::TOGETHER)
    product_kernel(struct product p, bool wide) {
    bf16 *stages = dynamic_shared<bf16>(), *here = stages;
    int warp = threadIdx.x / WARP, high = warp / S::ACROSS * S::HIGH, across = warp % S::ACROSS * S::WIDE;
    int count = (p.depth + DEPTH - 1) / DEPTH, now = 0, row, col;
    float sum[S::TALL][S::BROAD][4], *sums = (float *)stages + warp * S::HIGH * S::PITCH;
    supply<LEFT_ALONG, S::ROWS, S::THREADS> left;
    supply<RIGHT_ALONG, S::COLS, S::THREADS> right;
    reader<LEFT_ALONG, S::ROWS, S::HIGH, true> left_reader;
    reader<RIGHT_ALONG, S::COLS, S::WIDE, false> right_reader;
    fragments<S> of[2];

    find_tile<S>(p, &row, &col);
    left.begin((const bf16 *)p.left, p.left_stride, row, p.rows, p.depth);
    right.begin((const bf16 *)p.right, p.right_stride, col, p.cols, p.depth);
    start_successor();
    wait_for_predecessor();
#pragma unroll
    for (int s = 0; s < S::STAGES - 1; s++) {
        if (s < count) left.bring(stages + s * S::STAGE, p.left_stride);
        if (s < count) right.bring(stages + s * S::STAGE + S::ROWS * DEPTH, p.right_stride);
        end_copies();
    }
    left_reader.begin(high);
    right_reader.begin(across);
    row += high;
    col += across;
    begin_sums<S>(sum, p, row, col);
    wait_for_copies<S::STAGES - 2>();
    __syncthreads();
    if (count) of[0].read(left_reader, right_reader, stages, 0);
#pragma unroll 1
    for (int s = 0; s < count; s++) {
        bf16 *free = here + (now ? -S::STAGE : (S::STAGES - 1) * S::STAGE), *stage = here;

        here += now < S::STAGES - 1 ? S::STAGE : -(S::STAGES - 1) * S::STAGE;
        now = now < S::STAGES - 1 ? now + 1 : 0;
        if (s + S::STAGES - 1 < count) {
            left.bring(free, p.left_stride);
            right.bring(free + S::ROWS * DEPTH, p.right_stride);
        }
        end_copies();
#pragma unroll
        for (int k = 0; k < DEPTH; k += STEP) {
            fragments<S> &next = of[(k / STEP + 1) % 2];

            if (k + STEP < DEPTH) {
                next.read(left_reader, right_reader, stage, k + STEP);
            } else {
                wait_for_copies<S::STAGES - 2>();
                __syncthreads();
                if (s + 1 < count) next.read(left_reader, right_reader, here, 0);
            }
            multiply_all<S>(sum, of[k / STEP % 2]);
        }
    }
    lay_out<S>(sums, sum, p, col);
    __syncwarp();
    if (p.ending == SUM)
        write_tile<S, SUM>(sums, p, row, col, wide);
    else if (LEFT_ALONG && p.ending == OPERAND)
        write_tile<S, OPERAND>(sums, p, row, col, wide);
    else if (LEFT_ALONG && RIGHT_ALONG)
        write_tile<S, GELU>(sums, p, row, col, wide);
    else if (LEFT_ALONG)
        write_tile<S, GELU_SLOPE>(sums, p, row, col, wide);
}

template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_shape(const struct product &p, const char *operation) {
    int tiles = blocks_for(p.rows, S::ROWS) * blocks_for(p.cols, S::COLS);
    bool wide = on_16_bytes(p.out, p.kept, p.before) && p.cols % (p.ending == SUM ? 4 : 8) == 0;

    launch_chained(operation, product_kernel<S, LEFT_ALONG, RIGHT_ALONG>, tiles, S::THREADS, S::SHARED, p,
                   wide);
}

/* The first `count` of eight neighbours off their alignment, then zeros, by two loads on it; 0: these would
 * leave [begin, end). */
static __device__ __forceinline__ int take_shifted(unsigned out[4], const bf16 *at, int count,
                                                   const bf16 *begin, const bf16 *end) {
    int shift = (int)((size_t)at / sizeof(bf16) % 8);
    const bf16 *from = at - shift;

    if (from < begin || from + 16 > end) return 0;
    uint4 low = *(const uint4 *)from, high = *(const uint4 *)(from + 8);
    unsigned words[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};

#pragma unroll
    for (int i = 0; i < 6; i++) words[i] = shift & 4 ? words[i + 2] : words[i];
#pragma unroll
    for (int i = 0; i < 5; i++) words[i] = shift & 2 ? words[i + 1] : words[i];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        unsigned two = shift & 1 ? words[i] >> 16 | words[i + 1] << 16 : words[i];

        out[i] = 2 * i + 1 < count ? two : 2 * i < count ? two & 0xffff : 0;
    }
    return 1;
}

static __device__ __forceinline__ int take_shifted(unsigned[4], const float *, int, const float *,
                                                   const float *) {
    return 0;
}

/* x[rows][cols], up to `end`, as bf16, in lines of `stride` on 16 bytes that end in zeros. */
template <class E> struct straightening {
    static const int EACH = 8;
    bf16 *out;
    const E *x, *end;
    int cols, stride;

    __device__ __forceinline__ void operator()(size_t row, int c, int count, bool wide) const {
        bf16 *to = out + row * stride + c;
        unsigned words[4];
        float eight[EACH];

        if (!wide && take_shifted(words, x + row * cols + c, count, x, end)) {
            *(uint4 *)to = make_uint4(words[0], words[1], words[2], words[3]);
        } else {
            take<EACH>(eight, x + row * cols + c, count, wide);
            store_group<EACH>(to, eight);
        }
    }
};

template <class E>
static void straighten(const char *operation, bf16 *out, const E *x, int lines, int cols, int stride) {
    over_rows(operation, straightening<E>{out, x, x + (size_t)lines * cols, cols, stride}, lines, cols,
              on_16_bytes(x));
}

static int straight_stride(int stride) {
    return (stride + 7) / 8 * 8;
}

static bool is_straight(const void *data, int stride) {
    return data && on_16_bytes(data) && stride % 8 == 0;
}

/* Sees to it that both sides are bf16 in lines on 16 bytes; 0: there is no memory for it. */
static int straighten_sides(struct product *p, int left_lines, int right_lines, const char *operation) {
    int left_stride = straight_stride(p->left_stride), right_stride = straight_stride(p->right_stride);
    size_t left_size = is_straight(p->left, p->left_stride) ? 0 : (size_t)left_lines * left_stride;
    size_t right_size = is_straight(p->right, p->right_stride) ? 0 : (size_t)right_lines * right_stride;
    bf16 *room = NULL;

    if (left_size + right_size) room = (bf16 *)device_scratch((left_size + right_size) * sizeof *room);
    if (left_size + right_size && !room) return 0;
    if (left_size) {
        straighten(operation, room, (const bf16 *)p->left, left_lines, p->left_stride, left_stride);
        p->left = room;
        p->left_stride = left_stride;
    }
    if (right_size) {
        bf16 *out = room + left_size;

        if (p->right)
            straighten(operation, out, (const bf16 *)p->right, right_lines, p->right_stride, right_stride);
        else
            straighten(operation, out, p->weights, right_lines, p->right_stride, right_stride);
        p->right = out;
        p->right_stride = right_stride;
    }
    return 1;
}

/* Of lines that do not begin on 16 bytes: both sides of the largest of a product and its gradients. Weights
 * are there in bf16. */
static size_t straight_size(int rows, int outs, int ins) {
    size_t outs_line = outs % 8 ? straight_stride(outs) : 0, ins_line = ins % 8 ? straight_stride(ins) : 0;
    size_t sides = rows * outs_line + (rows > outs ? rows : outs) * ins_line,
           forward = (rows + (size_t)outs) * ins_line;

    return (sides > forward ? sides : forward) * sizeof(bf16);
}

extern "C" size_t cuda_scratch_size_bf16(int rows, int outs, int ins, int results) {
    size_t straight = straight_size(rows, outs, ins), least = cuda_scratch_size(rows, outs, ins, results);
    size_t parts = parts_size_bf16(rows, outs > ins ? outs : ins, 2),
           most = straight > parts ? straight : parts;

    return most > least ? most : least;
}

template <bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_product(struct product p, const char *operation) {
    int left_lines = LEFT_ALONG ? p.rows : p.depth, right_lines = RIGHT_ALONG ? p.cols : p.depth;

    if (p.rows == 0 || p.cols == 0) return;
    if (!straighten_sides(&p, left_lines, right_lines, operation)) return;
    run_cheapest<LEFT_ALONG, RIGHT_ALONG, flat, narrow, small, middle, large, huge>(p, operation);
}

#define PRODUCT(name) name##_bf16_cuda
#include "kernels/cuda/products.inc"
