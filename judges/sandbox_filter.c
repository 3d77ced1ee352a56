#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "judges/sandbox.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE

#define NUMBER offsetof(struct seccomp_data, nr)
#define ARGUMENT(n)                                                                                          \
    (offsetof(struct seccomp_data, args) + 8 * (n)) /* its low half: both are little-endian                  \
                                                     */
#define LOAD(what)   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, what)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define REFUSE       RETURN(SECCOMP_RET_ERRNO | EPERM)
#define DENY(call)   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), REFUSE

/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
enum { NEW_NAMESPACES = 0x7e020000, X32_BIT = 0x40000000 };

static const struct sock_filter filter[] = {
    LOAD(offsetof(struct seccomp_data, arch)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
    RETURN(SECCOMP_RET_KILL_PROCESS), LOAD(NUMBER),
#ifdef __x86_64__
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1), RETURN(SECCOMP_RET_KILL_PROCESS),
#endif
    DENY(socket), DENY(ptrace), DENY(process_vm_readv), DENY(process_vm_writev), DENY(pidfd_getfd),
    /* namespaces and mounts */
    DENY(unshare), DENY(setns), DENY(mount), DENY(umount2), DENY(pivot_root), DENY(chroot), DENY(open_tree),
    DENY(move_mount), DENY(fsopen), DENY(fsconfig), DENY(fsmount), DENY(fspick), DENY(name_to_handle_at),
    DENY(open_by_handle_at),
    /* memory and messages that outlive a process's share */
    DENY(memfd_create), DENY(shmget), DENY(semget), DENY(msgget), DENY(mq_open), DENY(userfaultfd),
    /* the kernel's own matters */
    DENY(keyctl), DENY(add_key), DENY(request_key), DENY(bpf), DENY(perf_event_open), DENY(io_uring_setup),
    DENY(fanotify_init), DENY(init_module), DENY(finit_module), DENY(delete_module), DENY(kexec_load),
    DENY(reboot), DENY(swapon), DENY(swapoff), DENY(acct), DENY(quotactl), DENY(syslog), DENY(sethostname),
    DENY(setdomainname), DENY(settimeofday), DENY(clock_settime), DENY(adjtimex), DENY(clock_adjtime),
    DENY(personality),
#ifdef SYS_mknod
    DENY(mknod),
#endif
    DENY(mknodat),
    /* clone3 hides its flags in memory; the C library falls back to clone */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1), RETURN(SECCOMP_RET_ERRNO | ENOSYS),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4), LOAD(ARGUMENT(0)),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1), REFUSE, RETURN(SECCOMP_RET_ALLOW),
    /* shared memory without a file: a process can hold more than it shows */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 5), LOAD(ARGUMENT(3)),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, MAP_SHARED | MAP_ANONYMOUS),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MAP_SHARED | MAP_ANONYMOUS, 0, 1), REFUSE, RETURN(SECCOMP_RET_ALLOW),
    RETURN(SECCOMP_RET_ALLOW)};

const void *sandbox_filter(size_t *length) {
    *length = sizeof filter;
    return filter;
}

#else

const void *sandbox_filter(size_t *length) {
    *length = 0;
    return NULL;
}

#endif
