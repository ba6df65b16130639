/*
 * A node's life: arguments, start, messages, the guest's end, forked children.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "exec/translation-block.h"
#include "tcg/startup.h"
#include "user-mmap.h"
#include "qemu/plugin.h"
#include "qemu/rcu.h"
#include "dqemu/build_id.h"
#include "dqemu/clocks.h"
#include "dqemu/cpu_time.h"
#include "dqemu/futex.h"
#include "dqemu/processors.h"
#include "master/futex.h"
#include "master/map.h"
#include "master/memory.h"
#include "bounce.h"
#include "self.h"
#include "processors.h"
#include "root.h"
#include "source.h"
#include "split.h"
#include "peek.h"
#include "wide.h"

struct dq_config dq_config = {.nodes = 1};
bool dq_is_child;

/*
 * The descriptor of the control channel; ",stack" behind it says that the limit of the stack was lowered
 * for this program alone (deploy/spawn.c).
 */
static const char CONTROL_OPTION[] = "--dqemu-control=";

/* ---------------------------------------------------------------- messages */

/* Bytes that came in a message, for the worker. */
struct job {
    size_t length;
    _Alignas(8) unsigned char body[];
};

static void work(void (*fn)(void *), const void *body, size_t length)
{
    struct job *j = g_malloc(sizeof(*j) + length);

    j->length = length;
    memcpy(j->body, body, length);
    dq_node_work(fn, j);
}

/* The worker of a slave waits until dq_main_slave() has made the place that jobs work on. */
static pthread_mutex_t slave_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t slave_is_ready = PTHREAD_COND_INITIALIZER;
static bool slave_ready;

static void set_slave_ready(void)
{
    pthread_mutex_lock(&slave_lock);
    slave_ready = true;
    pthread_cond_broadcast(&slave_is_ready);
    pthread_mutex_unlock(&slave_lock);
}

static void await_slave_ready(void)
{
    pthread_mutex_lock(&slave_lock);
    while (!slave_ready) {
        pthread_cond_wait(&slave_is_ready, &slave_lock);
    }
    pthread_mutex_unlock(&slave_lock);
}

static void say_mapped(void)
{
    struct dq_msg_cookie m = {0};

    dq_node_send(0, DQ_MSG_MAPPED, &m, sizeof(m));
}

/* MAPs that have come, and are not applied yet. Atomic. */
static unsigned maps_coming;

static void work_map(void *arg)
{
    struct job *j = arg;
    const struct dq_msg_map *m = (const void *)j->body;

    await_slave_ready();
    dq_map_apply(m);
    if (!m->quiet) {
        say_mapped();
    }
    qatomic_dec(&maps_coming);
    g_free(j);
}

static void G_NORETURN bad_message(int from, unsigned type)
{
    dq_control_error(125,
                     "node %d sent node %d a message (%u) that cannot come now; install "
                     "the same dqemu on every node",
                     from, dq_config.node, type);
    _exit(125);
}

static void work_result(void *arg)
{
    struct job *j = arg;

    if (dq_remote_message(DQ_MSG_RESULT, j->body, j->length)) {
        bad_message(0, DQ_MSG_RESULT);
    }
    g_free(j);
}

/* The thread goes on when what the master said of the map before this is done. On the loop. */
static int take_result(const void *body, size_t length)
{
    if (qatomic_load_acquire(&maps_coming)) {
        work(work_result, body, length);
        return 0;
    }
    return dq_remote_message(DQ_MSG_RESULT, body, length);
}

static void work_globals(void *arg)
{
    struct job *j = arg;
    const size_t head = sizeof(struct dq_msg_cookie);

    await_slave_ready();
    dq_globals_apply(j->body + head, j->length - head);
    say_mapped();
    g_free(j);
}

static void G_NORETURN slave_ends(void)
{
    dq_node_ending();
    dq_clocks_ending();
    dq_missing_tell();
    dq_control_stats();
    qemu_plugin_atexit_cb(); /* what plugins have counted here; they say it in the log */
    _exit(0);
}

static void tell_memory(const struct dq_msg_cookie *question)
{
    struct dq_pager_pages p = dq_pager_count();
    struct dq_msg_memory m = {.cookie = question->cookie, .pages = p.homed, .most = p.most_homed};

    dq_node_send(0, DQ_MSG_MEMORY, &m, sizeof(m));
}

static int message_for_slave(int from, unsigned type, const void *body, size_t length)
{
    if (from != 0) {
        return -EPROTO;
    }
    switch (type) {
    case DQ_MSG_MAP:
        qatomic_inc(&maps_coming);
        work(work_map, body, length);
        return 0;
    case DQ_MSG_GLOBALS:
        work(work_globals, body, length);
        return 0;
    case DQ_MSG_START:
        return dq_thread_start(body, length);
    case DQ_MSG_RESULT:
        return take_result(body, length);
    case DQ_MSG_KICK:
        return dq_remote_message(type, body, length);
    case DQ_MSG_SCHED:
        return dq_remote_sched(body, length);
    case DQ_MSG_MEMORY_ASK:
        tell_memory(body);
        return 0;
    case DQ_MSG_STATES_ASK:
        dq_core_stop();
        return 0;
    case DQ_MSG_END:
        slave_ends();
    default:
        return -EPROTO;
    }
}

static int message_for_master(int from, unsigned type, const void *body, size_t length)
{
    switch (type) {
    case DQ_MSG_MAPPED:
        return dq_map_message(body);
    case DQ_MSG_MEMORY:
        return dq_memory_message(body);
    case DQ_MSG_SYSCALL:
    case DQ_MSG_TAKE:
    case DQ_MSG_EXIT:
    case DQ_MSG_MOVE:
    case DQ_MSG_MAP_ASK:
        return dq_proxy_message(from, type, body, length);
    case DQ_MSG_STATE:
        return dq_core_message(from, body, length);
    default:
        return -EPROTO;
    }
}

static void on_message(void *ctx, int from, unsigned type, const void *body, size_t length)
{
    int err;

    if (type >= DQ_MSG_FUTEX_REGISTER && type <= DQ_MSG_FUTEX_WOKEN) {
        err = dq_futex_message(from, type, body);
    } else if (dq_on_slave()) {
        err = message_for_slave(from, type, body, length);
    } else {
        err = message_for_master(from, type, body, length);
    }
    if (err) {
        bad_message(from, type);
    }
}

/* On the worker. */
static void drop_code(void *ctx, uint64_t page)
{
    abi_ulong start = page << DQ_PAGE_BITS;

    mmap_lock();
    tb_invalidate_phys_range(start, start + DQ_PAGE_SIZE - 1);
    mmap_unlock();
}

/* ---------------------------------------------------------------- start */

/* The guest has the limit that its user has set. */
static void unlimit_stack(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_STACK, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_STACK, &limit);
    }
}

static int take_control_option(int *argc, char **argv)
{
    int fd;

    if (*argc < 2 || !g_str_has_prefix(argv[1], CONTROL_OPTION)) {
        return -1;
    }
    fd = atoi(argv[1] + strlen(CONTROL_OPTION));
    if (g_str_has_suffix(argv[1], ",stack")) {
        unlimit_stack();
    }
    memmove(&argv[1], &argv[2], (*argc - 1) * sizeof(*argv));
    (*argc)--;
    return fd;
}

/*
 * A slave has the master's options, and QEMU would complain of them on every node. What a slave
 * says while QEMU reads them goes to `words`; when it gives up, the master gives up as well and
 * ends the run: only if the master goes on is it this node's own trouble, and the user hears it.
 */
#define MASTER_GIVES_UP_MS 1000

static struct {
    int words; /* memfd; -1: nothing is held back */
    int saved_out, saved_err;
} quiet = {.words = -1};

/* The first line of what QEMU has said here. */
static char *first_words(void)
{
    char text[512];
    ssize_t n = pread(quiet.words, text, sizeof(text) - 1, 0);

    text[MAX(n, 0)] = 0;
    text[strcspn(text, "\n")] = 0;
    return g_strdup(*text ? text : "it gave no reason");
}

/* exit() before dq_main_slave(). The loop ends the process when the master's connection ends. */
static void slave_gives_up(void)
{
    g_autofree char *text = NULL;

    if (quiet.words < 0) {
        return;
    }
    fflush(stdout);
    poll(NULL, 0, MASTER_GIVES_UP_MS);
    text = first_words();
    dq_control_error(125, "node %d cannot start: %s", dq_config.node, text);
    _exit(125);
}

static void slave_be_quiet(void)
{
    quiet.saved_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    quiet.saved_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    quiet.words = memfd_create("dqemu-words", MFD_CLOEXEC);
    if (quiet.words >= 0) {
        dup2(quiet.words, STDOUT_FILENO);
        dup2(quiet.words, STDERR_FILENO);
        atexit(slave_gives_up);
    }
}

static void slave_may_speak(void)
{
    if (quiet.words >= 0) {
        fflush(stdout);
        dup2(quiet.saved_out, STDOUT_FILENO);
        dup2(quiet.saved_err, STDERR_FILENO);
        close(quiet.words);
        quiet.words = -1;
    }
    close(quiet.saved_out);
    close(quiet.saved_err);
}

/* Nodes that are told of no processors are on one machine. */
static void place_init(void)
{
    const int own = g_get_num_processors();
    int share[DQ_MAX_NODES];

    for (int n = 0; n < dq_config.nodes; n++) {
        share[n] = own;
    }
    if (dq_processors_count(&dq_config)) {
        dq_processors_shares(&dq_config, share);
    }
    dq_place_init(dq_config.nodes, dq_config.placement, share);
}

/* Beside the guest's addresses: code, translations, stacks, what is in flight. */
#define OWN_SPACE (1ull << 30)

/* QEMU takes the guest's addresses when it loads the program, and knows of no remedy. */
static void check_address_space(void)
{
    const rlim_t need = reserved_va + 1 + OWN_SPACE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < need) {
        dq_control_error(125,
                         "node %d: the limit of address space, %llu KiB, is too low for the "
                         "guest's, which all nodes reserve; raise it to %llu or more (ulimit -v)",
                         dq_config.node, (unsigned long long)limit.rlim_cur >> 10,
                         (unsigned long long)need >> 10);
        exit(125);
    }
}

void dq_main_args(int *argc, char **argv)
{
    static const struct dq_node_ops ops = {
        .message = on_message,
        .drop_code = drop_code,
    };
    int fd;

    if (*argc == 2 && strcmp(argv[1], "--dqemu-build") == 0) {
        puts(dq_build_id);
        exit(0);
    }
    dq_exec_init(argv);
    fd = take_control_option(argc, argv);
    dq_root_args(argc, argv);
    if (fd < 0) {
        return;
    }
    if (dq_control_open(fd, &dq_config)) {
        exit(125); /* reported */
    }
    if (!dq_on_slave()) {
        dq_stat_add(threads, 1); /* the main thread */
        dq_account_start(dq_control_fd());
    }
    if (dq_config.nodes == 1) {
        dq_node_open(&dq_config, &ops, NULL); /* opens nothing, and cannot fail */
        return;
    }
    reserved_va = DQ_GUEST_SPACE - 1;
    check_address_space();
    dq_control_offer_wide(dq_wide_reserve());
    dq_spin_init(dq_config.spin_us);
    dq_awake_begin(); /* the main thread; on a slave until it has set things up */
    dq_futex_open();
    dq_clock_open();
    dq_processors_open();
    if (dq_on_slave()) {
        dq_sched_open(&dq_config);
    } else {
        dq_scheduling_open();
        place_init();
    }
    if (dq_node_open(&dq_config, &ops, NULL)) {
        exit(125); /* reported */
    }
    dq_wide_agree(dq_control_all_wide());
    dq_bounce_open();
    if (dq_on_slave()) {
        slave_be_quiet();
    } else {
        dq_timers_open();
        dq_engage_prepare();
        dq_peek_prepare();
        dq_source_prepare();
    }
}

/*
 * A slave takes no signals: those of the terminal do not reach its process group, and those for
 * the guest go to the master. SIGTERM and SIGINT can only be meant for this very process: they
 * end it, and the launcher sees a lost node.
 */
static void slave_signals(void)
{
    sigset_t set;

    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigfillset(&set);
    sigdelset(&set, SIGTERM);
    sigdelset(&set, SIGINT);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

static bool reserve_from(abi_ulong start)
{
    return mmap(g2h_untagged(start), reserved_va + 1 - start, PROT_NONE,
                MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

/*
 * No image is loaded here: any place for the reserved range will do. What QEMU puts there by itself (a
 * kernel's page with code) has the master, too, and comes from it.
 *
 * Where guest addresses are the host's, only a privileged user may have the lowest of them
 * (vm.mmap_min_addr): for others the guest's memory begins above, as it does on the master. Returns
 * where.
 */
static abi_ulong reserve_guest_space(void)
{
    abi_ulong start = 0;
    bool done;

    mmap_lock();
    probe_guest_base("the guest", 0, 0);
    page_set_flags(0, reserved_va, 0);
    done = reserve_from(start);
    if (!done && errno == EPERM && guest_base == 0) {
        start = mmap_min_addr;
        done = reserve_from(start);
    }
    mmap_unlock();
    if (!done) {
        dq_control_error(125,
                         "node %d cannot reserve guest memory: %s; raise its limit (ulimit -v)",
                         dq_config.node, strerror(errno));
        _exit(125);
    }
    return start;
}

/*
 * The guest's stack and mappings lie in the upper half of its addresses: programs take the highest
 * bit of the stack's address for that of the greatest address there is (AddressSanitizer does). QEMU's own
 * choice for x86-64 would be where the program goes, and leave its heap no room. See also
 * dq_guest_base_chosen().
 */
static void place_mappings(void)
{
    if (dq_config.nodes > 1 && TARGET_LONG_BITS == 64) {
        task_unmapped_base = (reserved_va + 1) / 2;
        mmap_next_start = task_unmapped_base;
    }
}

void dq_main_slave(CPUArchState *env, const char *rtsig_map)
{
    abi_ulong start;

    if (!dq_on_slave()) {
        place_mappings();
        return;
    }
    start = reserve_guest_space();
    syscall_init();
    signal_init(rtsig_map);
    tcg_prologue_init();
    slave_may_speak();
    slave_signals();

    dq_thread_template(env);
    dq_remote_init(host_interrupt_signal);
    dq_pager_open((uintptr_t)g2h_untagged(0));
    if (dq_pager_register(start, reserved_va + 1 - start)) {
        _exit(125); /* reported */
    }
    dq_wide_open_slave();
    qatomic_set(&dq_engaged, true);
    dq_cpu_time_begin(dq_remote_cpu_time);
    set_slave_ready();
    dq_awake_end();
    /* loop, worker and guest threads do the rest */
    for (;;) {
        pause();
    }
}

/* ---------------------------------------------------------------- end */

void dq_report(void)
{
    struct dq_control_area heap = {.name = "[heap]"};

    if (dq_engaged && thread_cpu) {
        heap.start = get_task_state(thread_cpu)->info->brk;
        heap.end = do_brk(0);
        dq_control_memory(&heap, 1);
    }
    dq_control_stats();
}

void dq_exit(void)
{
    struct dq_msg_cookie m = {0};

    if (dq_config.nodes > 1) {
        dq_node_ending();
        for (int n = 1; n < dq_config.nodes; n++) {
            dq_node_send(n, DQ_MSG_END, &m, sizeof(m));
        }
    }
    dq_missing_tell();
    dq_report();
}

/* ---------------------------------------------------------------- fork */

/*
 * The child has the memory of this moment: all pages come here first, and stay until the
 * fork is done. Nobody changes the map meanwhile.
 */
void dq_fork_start(void)
{
    if (dq_config.nodes > 1) {
        dq_map_begin();
        if (dq_engaged) {
            dq_split_exclude(0, DQ_ALL_PAGES);
            dq_pager_gather(0, DQ_ALL_PAGES);
            dq_source_before_fork();
        }
    }
}

void dq_fork_end(bool child)
{
    if (child) {
        dq_account_in_child();
        dq_cpu_time_set_before(NULL);
    }
    if (dq_config.nodes == 1) {
        return;
    }
    if (!child) {
        if (dq_engaged) {
            dq_source_after_fork(false);
            dq_pager_thaw();
        }
        dq_split_include();
        dq_map_end();
        return;
    }
    dq_bounce_in_child();
    dq_split_in_child();
    dq_engage_in_child();
    dq_control_forked();
    dq_node_forked();
    if (dq_engaged) {
        dq_source_after_fork(true);
    }
    dq_peek_in_child();
    dq_futex_in_child();
    dq_clock_in_child();
    dq_timers_in_child();
    dq_threads_forked();
    dq_cpus_forked();
    dq_map_forked();
    dq_advice_in_child();
    dq_is_child = true;
    dq_engaged = false;
    dq_config.nodes = 1;
}
