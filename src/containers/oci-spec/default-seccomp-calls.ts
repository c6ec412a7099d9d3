/**
 * The seccomp policy of a container for which none is asked: system calls that a contained program may use, told by
 * subject, and those that come with a capability. What is not told fails with EPERM. It allows what Docker's default
 * policy allows (held to it by a test), so that an image that runs there runs here.
 */

/** Allowed to everybody. */
export const commonCalls: Readonly<Record<string, string>> = {
  /** Files, directories, links, attributes and pipes. */
  files: `
    _llseek access cachestat chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3
    faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32
    fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64
    fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr
    getxattrat ioctl lchown lchown32 lgetxattr link linkat listmount listxattr listxattrat llistxattr
    lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open
    openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile sendfile64 setxattr
    setxattrat splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range
    syncfs tee truncate truncate64 unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write
    writev
  `,
  /** Memory and its protection. */
  memory: `
    brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap
    mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
    remap_file_pages
  `,
  /** Processes, threads, scheduling and locks. */
  execution: `
    execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
    get_robust_list get_thread_area getcpu getpid getppid getpriority getrandom getrusage gettid ioprio_get
    ioprio_set process_mrelease riscv_hwprobe rseq sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield set_robust_list set_thread_area set_tid_address setpriority sysinfo uname uretprobe vfork
    wait4 waitid waitpid
  `,
  /** Who a process is: users, groups, capabilities, limits, sessions. */
  identities: `
    capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp
    getresgid getresgid32 getresuid getresuid32 getrlimit getsid getuid getuid32 landlock_add_rule
    landlock_create_ruleset landlock_restrict_self prctl prlimit64 seccomp setfsgid setfsgid32 setfsuid
    setfsuid32 setgid setgid32 setgroups setgroups32 setpgid setregid setregid32 setresgid setresgid32
    setresuid setresuid32 setreuid setreuid32 setrlimit setsid setuid setuid32 ugetrlimit umask
  `,
  /** Signals and pidfds. */
  signals: `
    kill pause pidfd_open pidfd_send_signal restart_syscall rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
    sigaltstack sigprocmask sigreturn tgkill tkill
  `,
  /** Clocks, timers and sleeping. */
  time: `
    adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
    clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
    times
  `,
  /** Waiting on descriptors: poll, select, epoll, eventfd, inotify, asynchronous I/O. */
  waiting: `
    _newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
    epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit
    poll ppoll ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4 timerfd_create
    timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
  `,
  /** System V and POSIX interprocess communication. */
  messages: `
    ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
    mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop
    semtimedop_time64 shmat shmctl shmdt shmget
  `,
  /** Sockets and what goes through them. */
  sockets: `
    accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg
    recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair
  `,
};

/** Allowed to a container that was given the capability. */
export const callsOfCapability: Readonly<Record<string, string>> = {
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_SYS_ADMIN: `
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
    sethostname setns syslog umount umount2 unshare
  `,
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module finit_module init_module',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace',
  CAP_SYS_RAWIO: 'ioperm iopl',
  CAP_SYS_TIME: 'clock_settime clock_settime64 settimeofday stime',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYSLOG: 'syslog',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};

/** Safe from Linux 4.8 on, where a tracer can no longer get round the filter of what it traces. */
export const callsSinceKernel48 = 'process_vm_readv process_vm_writev ptrace';

/** Allowed on one architecture (names as Go's GOARCH). */
export const callsOfArchitecture: Readonly<Record<string, string>> = {
  386: 'modify_ldt',
  amd64: 'arch_prctl modify_ldt',
  arm: 'arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2',
  arm64: 'arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2',
  ppc64le: 'swapcontext sync_file_range2',
  riscv64: 'riscv_flush_icache',
  s390x: 's390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr',
};

/** Personalities that only change what uname(2) says and how addresses are laid out, and the query. */
export const allowedPersonalities: readonly number[] = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** AF_ALG and AF_VSOCK: kernel crypto and the way out to the hypervisor, neither is in a namespace. */
export const deniedSocketDomains = { alg: 38, vsock: 40 } as const;

/** All CLONE_NEW* flags but CLONE_NEWTIME: clone(2) may not make namespaces without CAP_SYS_ADMIN. */
export const namespaceCloneFlags = 0x7e020000;

/** Filter architectures by GOARCH: the native one and those whose programs the kernel runs beside it. */
export const filterArchitectures: Readonly<Record<string, readonly string[]>> = {
  amd64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  mips64: ['SCMP_ARCH_MIPS64', 'SCMP_ARCH_MIPS', 'SCMP_ARCH_MIPS64N32'],
  mips64le: ['SCMP_ARCH_MIPSEL64', 'SCMP_ARCH_MIPSEL', 'SCMP_ARCH_MIPSEL64N32'],
  s390x: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
  riscv64: ['SCMP_ARCH_RISCV64'],
  loong64: ['SCMP_ARCH_LOONGARCH64'],
};
