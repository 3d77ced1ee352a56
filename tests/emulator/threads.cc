/* A block's threads, each with a stack of its own, which take turns until all have ended. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#include "device.h"

#define STACK ((size_t)256 << 10) /* bytes of a thread's */
#define MOST  1024                /* threads of a block */

enum state { READY, AT_START, AT_BARRIER, AT_NAMED, AT_GATE, IN_MEETING, ENDED };

/* arriving: no copy, but the thread's arrival at a gate once those before are there. */
struct copy {
    void *shared;
    const void *global; /* NULL: it is taken already */
    int bytes, group;
    gate *arriving;
    unsigned char taken[16];
};

struct fiber {
    struct emulated_thread self;
    enum state state;
    int begun; /* its stack */
    jmp_buf at;
    struct emulated_votes votes;
    int named;
    gate *at_gate;
    std::vector<struct copy> copies;
    int group;
    int waited; /* for the predecessor */
    void *out;  /* what the meeting that it waits in leaves it */
    size_t out_bytes;
};

/* Lanes of a warp that meet under one mask, and what they give and get. */
struct meeting {
    unsigned mask, arrived;
    unsigned char in[32][EMULATED_BYTES], out[32][EMULATED_BYTES];
};

struct warp {
    struct fiber *first;
    unsigned lanes; /* that have not ended */
    struct meeting meetings[32];
};

struct emulated_thread *emulated_thread;
dim3 emulated_block, emulated_threads, emulated_grid;
unsigned char *emulated_shared;

static struct fiber fibers[MOST];
static unsigned char *stacks;
static jmp_buf scheduler;
static const struct emulated_kernel *running;
static unsigned count, living; /* threads of the block */
static struct warp warps[MOST / 32];
static struct { int line, arrived, any, all, yes; } barrier;
static int named[16];

void emulated_wrong(const char *what) {
    fprintf(stderr, "emulator: %s (block %u,%u,%u thread %u,%u,%u of launch %u)\n", what, emulated_block.x,
            emulated_block.y, emulated_block.z, emulated_thread->index.x, emulated_thread->index.y,
            emulated_thread->index.z, running->number);
    abort();
}

static struct fiber *current(void) {
    return (struct fiber *)emulated_thread;
}

static unsigned number_of(const struct fiber *fiber) {
    return (unsigned)(fiber - fibers);
}

/* What the address sanitizer wants to know of a change of stacks: before it, and after it has come here.
 * `kept` is what it leaves to a stack until the next change to it. */
static const void *scheduler_stack;
static size_t scheduler_bytes;

static void leave_for(void **kept, const void *stack, size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(kept, stack, bytes);
#else
    (void)kept, (void)stack, (void)bytes;
#endif
}

static void arrive(void *kept, const void **before, size_t *bytes) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(kept, before, bytes);
#else
    (void)kept, (void)before, (void)bytes;
#endif
}

/* Until the scheduler comes back to this thread, in another state. */
static void yield(enum state state) {
    void *kept = NULL;

    current()->state = state;
    leave_for(&kept, scheduler_stack, scheduler_bytes);
    if (!_setjmp(current()->at)) _longjmp(scheduler, 1);
    arrive(kept, &scheduler_stack, &scheduler_bytes);
}

static void open_barrier(void) {
    struct emulated_votes votes = {barrier.any, barrier.all, barrier.yes};

    for (unsigned i = 0; i < count; i++)
        if (fibers[i].state == AT_BARRIER) fibers[i].votes = votes, fibers[i].state = READY;
    barrier = {0, 0, 0, 1, 0};
}

struct emulated_votes emulated_barrier(int line, int vote) {
    if (barrier.arrived && barrier.line != line)
        emulated_wrong("threads of one block wait at different barriers");
    barrier.line = line;
    barrier.arrived++;
    barrier.any |= vote != 0;
    barrier.all &= vote != 0;
    barrier.yes += vote != 0;
    yield(AT_BARRIER);
    return current()->votes;
}

static void come_to_named(int number, int wanted, int stay) {
    if (number < 0 || number > 15 || wanted % 32)
        emulated_wrong("a named barrier is of whole warps, 0 to 15");
    current()->named = number;
    if (++named[number] < wanted) {
        yield(stay ? AT_NAMED : READY);
        return;
    }
    named[number] = 0;
    for (unsigned i = 0; i < count; i++)
        if (fibers[i].state == AT_NAMED && fibers[i].named == number) fibers[i].state = READY;
    yield(READY);
}

void meet(int number, int threads) {
    come_to_named(number, threads, 1);
}

void announce(int number, int threads) {
    come_to_named(number, threads, 0);
}

static struct meeting *meeting_of(struct warp *warp, unsigned mask) {
    struct meeting *meeting = warp->meetings;

    while (meeting->arrived && meeting->mask != mask)
        if (++meeting == warp->meetings + 32) emulated_wrong("lanes meet under masks that overlap");
    meeting->mask = mask;
    return meeting;
}

void emulated_meet(unsigned mask, emulated_meeting *meet, const void *in, size_t in_bytes, void *out,
                   size_t out_bytes) {
    unsigned lane = emulated_thread->lane;
    struct warp *warp = &warps[number_of(current()) / 32];
    struct meeting *meeting = meeting_of(warp, mask);

    if (!(mask >> lane & 1)) emulated_wrong("a lane takes part in what its mask leaves out");
    if (mask & ~warp->lanes) emulated_wrong("a mask names a lane that has ended or never was");
    memcpy(meeting->in[lane], in, in_bytes);
    meeting->arrived |= 1u << lane;
    current()->out = out;
    current()->out_bytes = out_bytes;
    if (meeting->arrived != mask) {
        yield(IN_MEETING);
        return;
    }
    meet(mask, meeting->in, meeting->out);
    meeting->arrived = 0;
    for (unsigned other = 0; other < 32; other++) {
        struct fiber *fiber = warp->first + other;

        if (!(mask >> other & 1)) continue;
        if (fiber->out_bytes) memcpy(fiber->out, meeting->out[other], fiber->out_bytes);
        if (other != lane) fiber->state = READY;
    }
}

/* What a stack runs: one thread after the other, of all launches. */
static void run_threads(void) {
    arrive(NULL, &scheduler_stack, &scheduler_bytes);
    for (;;) {
        running->thread();
        if (!current()->copies.empty() && current()->copies.back().bytes)
            emulated_wrong("a thread ends while its copies to shared memory are under way");
        if (running->early && !current()->waited)
            emulated_wrong("a thread that may start early ends without having waited for what was before");
        yield(ENDED);
    }
}

static void begin(struct fiber *fiber, void *stack) {
    static ucontext_t first;

    fiber->begun = 1;
    getcontext(&first);
    first.uc_stack.ss_sp = stack;
    first.uc_stack.ss_size = STACK;
    first.uc_link = NULL;
    makecontext(&first, run_threads, 0);
    setcontext(&first);
}

static void resume(struct fiber *fiber) {
    unsigned char *stack = stacks + number_of(fiber) * STACK;
    void *kept = NULL;

    emulated_thread = &fiber->self;
    leave_for(&kept, stack, STACK);
    if (!_setjmp(scheduler)) {
        if (fiber->begun) _longjmp(fiber->at, 1);
        begin(fiber, stack);
    }
    arrive(kept, NULL, NULL);
}

/* Every launch has another order, but the same each time the program runs. */
static void draw_order(std::vector<unsigned> &order, unsigned turn) {
    static const char *wanted = getenv("EMULATED_ORDER");
    unsigned kind = !wanted                       ? running->number % 3
                    : !strcmp(wanted, "forward")  ? 0
                    : !strcmp(wanted, "backward") ? 1
                                                  : 2;
    unsigned seed = running->number * 2654435761u + turn * 40503u + 1;

    order.resize(count);
    for (unsigned i = 0; i < count; i++) order[i] = kind == 1 ? count - 1 - i : i;
    for (unsigned i = count; kind == 2 && i > 1; i--) {
        seed = seed * 1664525u + 1013904223u;
        std::swap(order[i - 1], order[(seed >> 8) % i]);
    }
}

static void begin_threads(void) {
    dim3 size = running->threads;

    for (unsigned i = 0; i < count; i++) {
        fibers[i].self.index = dim3(i % size.x, i / size.x % size.y, i / size.x / size.y);
        fibers[i].self.lane = i % 32;
        fibers[i].state = READY;
        fibers[i].copies.clear();
        fibers[i].group = 0;
        fibers[i].waited = 0;
    }
    living = count;
    barrier = {0, 0, 0, 1, 0};
    memset(named, 0, sizeof named);
    emulated_begin_groups();
    for (unsigned w = 0; w * 32 < count; w++) {
        warps[w].first = fibers + w * 32;
        warps[w].lanes = count - w * 32 < 32 ? (1u << (count - w * 32)) - 1 : ~0u;
    }
    memset(emulated_shared, 0xff, running->shared); /* NaNs */
}

/* When all threads of a block wait for what was before, that has ended; 0: they do not. */
static int start_threads(void) {
    unsigned starting = 0;

    for (unsigned i = 0; i < count; i++) starting += fibers[i].state == AT_START;
    if (!starting || starting != living) return 0;
    emulated_show();
    for (unsigned i = 0; i < count; i++)
        if (fibers[i].state == AT_START) fibers[i].state = READY;
    return 1;
}

static void run_block(void) {
    static std::vector<unsigned> order;
    unsigned turn = 0;

    begin_threads();
    if (running->early) emulated_hide();
    while (living) {
        int moved = 0;

        draw_order(order, turn++);
        for (unsigned i : order) {
            if (fibers[i].state != READY) continue;
            resume(&fibers[i]);
            moved = 1;
            if (fibers[i].state != ENDED) continue;
            living--;
            warps[i / 32].lanes &= ~(1u << i % 32);
        }
        if (barrier.arrived && (unsigned)barrier.arrived == living)
            open_barrier();
        else if (!moved && !start_threads())
            emulated_wrong("threads wait for others that never come");
    }
}

void emulated_run(const struct emulated_kernel &kernel) {
    if (!stacks)
        stacks = (unsigned char *)mmap(NULL, MOST * STACK, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    running = &kernel;
    count = kernel.threads.x * kernel.threads.y * kernel.threads.z;
    emulated_grid = kernel.grid;
    emulated_threads = kernel.threads;
    if (posix_memalign((void **)&emulated_shared, 1024, kernel.shared + !kernel.shared)) abort();
    for (unsigned z = 0; z < kernel.grid.z; z++)
        for (unsigned y = 0; y < kernel.grid.y; y++)
            for (unsigned x = 0; x < kernel.grid.x; x++) {
                emulated_block = dim3(x, y, z);
                run_block();
            }
    free(emulated_shared);
}

/* --- instructions --- */

void wait_for_predecessor(void) {
    if (running->early && !current()->waited) yield(AT_START);
    current()->waited = 1;
}

/* Copies of a block that may start early, before it has waited, read what is there by then. */
static void take(struct copy *copy) {
    memcpy(copy->taken, copy->global, (size_t)copy->bytes);
    copy->global = NULL;
}

void copy_async(void *shared, const void *global, int bytes) {
    if ((size_t)shared % 16 || (size_t)global % 16) emulated_wrong("cp.async of 16 bytes off its alignment");
    if (bytes < 0 || bytes > 16) emulated_wrong("cp.async of more than 16 bytes");
    memset(shared, 0xff, 16); /* until it arrives */
    current()->copies.push_back({shared, global, bytes, current()->group, NULL, {}});
    if (running->early && !current()->waited) take(&current()->copies.back());
}

void end_copies(void) {
    current()->group++;
}

/* What a gate's 8 bytes are: who is still to come, of how many, and how often it has opened. */
struct gate_state {
    unsigned short left, count;
    unsigned opened;
};

static void come_to_gate(gate *gate) {
    struct gate_state *state = (struct gate_state *)gate;

    if (!state->left) emulated_wrong("more arrive at a gate than it waits for");
    if (--state->left) return;
    state->left = state->count;
    state->opened++;
    for (unsigned i = 0; i < count; i++)
        if (fibers[i].state == AT_GATE && fibers[i].at_gate == gate) fibers[i].state = READY;
}

/* The first `many` copies of a thread arrive. */
static void finish_copies(struct fiber *fiber, size_t many) {
    for (size_t i = 0; i < many; i++) {
        const struct copy &copy = fiber->copies[i];

        if (copy.arriving) {
            come_to_gate(copy.arriving);
            continue;
        }
        memset(copy.shared, 0, 16);
        memcpy(copy.shared, copy.global ? copy.global : copy.taken, (size_t)copy.bytes);
    }
    fiber->copies.erase(fiber->copies.begin(), fiber->copies.begin() + (ptrdiff_t)many);
}

void emulated_wait_for_copies(int left) {
    std::vector<struct copy> &copies = current()->copies;
    int until = current()->group - left;
    size_t done = 0;

    while (done < copies.size() && copies[done].group < until) done++;
    finish_copies(current(), done);
}

void set_gate(gate *gate, unsigned count) {
    struct gate_state fresh = {(unsigned short)count, (unsigned short)count, 0};

    memcpy(gate, &fresh, sizeof fresh);
}

void arrive(gate *gate) {
    come_to_gate(gate);
    yield(READY);
}

/* Copies take until somebody waits for them. */
static void finish_copies_for(gate *gate, struct fiber *fiber) {
    size_t many = 0;

    for (size_t i = 0; i < fiber->copies.size(); i++)
        if (fiber->copies[i].arriving == gate) many = i + 1;
    finish_copies(fiber, many);
}

void arrive_with_copies(gate *gate) {
    int awaited = 0;

    current()->copies.push_back({NULL, NULL, 0, current()->group, gate, {}});
    for (unsigned i = 0; i < count; i++) awaited |= fibers[i].state == AT_GATE && fibers[i].at_gate == gate;
    if (awaited) finish_copies_for(gate, current());
}

void wait_at(gate *gate, unsigned parity) {
    const struct gate_state *state = (const struct gate_state *)gate;

    for (unsigned i = 0; i < count; i++) finish_copies_for(gate, &fibers[i]);
    current()->at_gate = gate;
    while ((state->opened & 1) == parity) yield(AT_GATE);
}

unsigned emulated_number(void) {
    return number_of(current());
}

void emulated_sleep(void) {
    yield(IN_MEETING);
}

void emulated_wake(unsigned number) {
    fibers[number].state = READY;
}

template <bool TURNED>
static void take_matrices(unsigned, unsigned char in[32][EMULATED_BYTES],
                          unsigned char out[32][EMULATED_BYTES]) {
    const unsigned short *line[32];

    for (int lane = 0; lane < 32; lane++) {
        memcpy(&line[lane], in[lane], sizeof line[lane]);
        if ((size_t)line[lane] % 16) emulated_wrong("ldmatrix off its alignment");
    }
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++) {
            const unsigned short *const *matrix = line + 8 * i;
            int down = lane / 4, across = lane % 4 * 2;
            unsigned low = TURNED ? matrix[across][down] : matrix[down][across];
            unsigned high = TURNED ? matrix[across + 1][down] : matrix[down][across + 1];
            unsigned both = high << 16 | low;

            memcpy(out[lane] + 4 * i, &both, sizeof both);
        }
}

void load_matrices(unsigned out[4], const unsigned short *line) {
    emulated_meet(0xffffffffu, take_matrices<false>, &line, sizeof line, out, 4 * sizeof *out);
}

void load_turned_matrices(unsigned out[4], const unsigned short *line) {
    emulated_meet(0xffffffffu, take_matrices<true>, &line, sizeof line, out, 4 * sizeof *out);
}

struct fragments {
    float *sum;
    const unsigned *left, *right;
};

static float half_of(unsigned pair, int high) {
    return emulated_float(high ? pair >> 16 : pair & 0xffff);
}

/* All lanes wait here, so that their registers can be read and written where they are. */
static void multiply_fragments(unsigned, unsigned char in[32][EMULATED_BYTES],
                               unsigned char (*)[EMULATED_BYTES]) {
    struct fragments of[32];
    double left[16][16], right[16][8]; /* right: turned */

    for (int lane = 0; lane < 32; lane++) {
        int line = lane / 4, column = lane % 4 * 2;

        memcpy(&of[lane], in[lane], sizeof of[lane]);
        for (int half = 0; half < 2; half++)
            for (int k = 0; k < 16; k += 8) {
                left[line][k + column + half] = (double)half_of(of[lane].left[k / 4], half);
                left[line + 8][k + column + half] = (double)half_of(of[lane].left[k / 4 + 1], half);
                right[k + column + half][line] = (double)half_of(of[lane].right[k / 8], half);
            }
    }
    for (int row = 0; row < 16; row++) {
        double sum[8];

        for (int c = 0; c < 8; c++) sum[c] = (double)of[row % 8 * 4 + c / 2].sum[row / 8 * 2 + c % 2];
        for (int k = 0; k < 16; k++)
            for (int c = 0; c < 8; c++) sum[c] += left[row][k] * right[k][c];
        for (int c = 0; c < 8; c++) of[row % 8 * 4 + c / 2].sum[row / 8 * 2 + c % 2] = (float)sum[c];
    }
}

void multiply(float sum[4], const unsigned left[4], const unsigned right[2]) {
    struct fragments mine = {sum, left, right};

    emulated_meet(0xffffffffu, multiply_fragments, &mine, sizeof mine, NULL, 0);
}
