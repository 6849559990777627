/* The executor: makes the system calls of a list, one after the other, and nothing else.
 *
 * orlop/linux/call_list.py puts a list behind this program, in the same file, and executes that; it says what can be in
 * a list. What is executed so has hardly any memory: making a container's mounts in a copy of a Python interpreter costs
 * more in copied pages than in system calls.
 *
 * Each call has up to six arguments: numbers, registers (which hold results of earlier calls, and what the list's maker put
 * there), or places in the list's own data. A call that fails ends everything, unless its step says which errnos are to
 * be expected and how many steps are skipped then: the index of the step and the errno are sent to the socket that
 * the list names, or the errno alone if it was the program at the end that could not be executed.
 *
 * There is no C library below it. scripts/make_programs.py compiles it for the machines that there is a directory for here.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#if defined(__x86_64__)
enum { RT_SIGACTION = 13, RT_SIGPROCMASK = 14, SENDTO = 44, RECVFROM = 45, EXECVE = 59, PRCTL = 157, EXIT_GROUP = 231 };
#elif defined(__aarch64__)
enum { RT_SIGACTION = 134, RT_SIGPROCMASK = 135, SENDTO = 206, RECVFROM = 207, EXECVE = 221, PRCTL = 167, EXIT_GROUP = 94 };
#else
#error "no system calls for this machine"
#endif

#define MSG_NOSIGNAL 0x4000
#define SIG_SETMASK 2
#define LAST_SIGNAL 64
#define EINTR 4
#define EAGAIN 11
#define EINVAL 22
#define PR_CAPBSET_DROP 24
#define OPENAT2 437
#define ATTEMPTS 1000 /* an openat2 that raced with a rename or mount elsewhere is to be tried again */

/* Instead of the number of a system call. */
#define CHECK 0xffff   /* whether the first argument, masked by the second, is the third; else errno, the fourth */
#define SIGNALS 0xfffe /* ignore, catch and block no signal */
#define SET 0xfffd     /* the result is the first argument */
#define BOUND 0xfffc   /* have no capability in the bounding set but those in the first argument */

/* What an argument is: a number, a register's value, a place in the data or in the room, or what lies there in eight or four
 * bytes. */
enum { NUMBER, REGISTER, PLACE, ROOM, WORD, HALF };

struct step {
	u16 call;
	u8 result, kinds[6], expected[5]; /* the register of the result; errnos that are no failure */
	u16 skipped;                      /* steps, after one of those */
	u64 arguments[6];
};

struct list {
	u32 count, report;
	u64 data, room; /* where the list's data begins, and memory for calls to write to, from here */
	u64 registers[256]; /* the first is always 0 */
	struct step steps[];
};

/* The one thing in the file's writable segment, which call_list.py replaces. */
extern struct list list;
__asm__(".data\n.balign 8\n.globl list\nlist: .quad 0\n.text\n");

static long call(long number, const u64 *arguments)
{
#if defined(__x86_64__)
	long result;
	register u64 r10 __asm__("r10") = arguments[3];
	register u64 r8 __asm__("r8") = arguments[4];
	register u64 r9 __asm__("r9") = arguments[5];
	__asm__ volatile("syscall"
		: "=a"(result)
		: "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return result;
#else
	register long x8 __asm__("x8") = number;
	register u64 x0 __asm__("x0") = arguments[0];
	register u64 x1 __asm__("x1") = arguments[1];
	register u64 x2 __asm__("x2") = arguments[2];
	register u64 x3 __asm__("x3") = arguments[3];
	register u64 x4 __asm__("x4") = arguments[4];
	register u64 x5 __asm__("x5") = arguments[5];
	__asm__ volatile("svc #0"
		: "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
#endif
}

static u64 value(const struct list *all, u8 kind, u64 argument)
{
	const char *place = (const char *)all + all->room + argument;
	switch (kind) {
	case REGISTER:
		return all->registers[argument & 255];
	case PLACE:
		return (u64)all + all->data + argument;
	case ROOM:
		return (u64)place;
	case WORD:
		return *(const u64 *)place;
	case HALF:
		return *(const u32 *)place;
	default:
		return argument;
	}
}

/* Signals that are ignored would stay so in the program, and so would those that are blocked. */
static void reset_signals(void)
{
	static const u64 defaults[4];
	for (u64 signal = 1; signal <= LAST_SIGNAL; signal++)
		call(RT_SIGACTION, (u64[6]){signal, (u64)defaults, 0, sizeof(u64)});
	call(RT_SIGPROCMASK, (u64[6]){SIG_SETMASK, (u64)defaults, 0, sizeof(u64)});
}

/* The first one that the kernel does not know ends it, as everything from there on is unknown. */
static long limit_bounding(u64 kept)
{
	for (u64 capability = 0; capability < 64; capability++) {
		long result = kept >> capability & 1 ? 0 : call(PRCTL, (u64[6]){PR_CAPBSET_DROP, capability});
		if (result < 0)
			return result == -EINVAL ? 0 : result;
	}
	return 0;
}

static long make(const struct step *step, const u64 *arguments)
{
	if (step->call == CHECK)
		return (arguments[0] & arguments[1]) == arguments[2] ? 0 : -(long)arguments[3];
	if (step->call == SET)
		return arguments[0];
	if (step->call == BOUND)
		return limit_bounding(arguments[0]);
	if (step->call == SIGNALS) {
		reset_signals();
		return 0;
	}
	for (int attempt = 1;; attempt++) {
		long result = call(step->call, arguments);
		if (result != -EINTR && (result != -EAGAIN || step->call != OPENAT2 || attempt == ATTEMPTS))
			return result;
	}
}

static int is_expected(const struct step *step, long errno)
{
	for (int at = 0; at < 5; at++)
		if (step->expected[at] && step->expected[at] == errno)
			return 1;
	return 0;
}

__attribute__((used, noreturn)) static void start(void)
{
	u32 at = 0;
	while (at < list.count) {
		const struct step *step = &list.steps[at++];
		u64 arguments[6];
		for (int each = 0; each < 6; each++)
			arguments[each] = value(&list, step->kinds[each], step->arguments[each]);
		long result = make(step, arguments);
		if (result < 0 && result >= -4095) {
			u32 told[2] = {at - 1, -result};
			if (!is_expected(step, -result)) {
				int alone = step->call == EXECVE;
				call(SENDTO, (u64[6]){list.report, (u64)(told + alone), 8 >> alone, MSG_NOSIGNAL});
				/* Whoever is told may want to have a look at us before we go. */
				call(RECVFROM, (u64[6]){list.report, (u64)told, sizeof told});
				break;
			}
			at += step->skipped;
		} else if (step->result) {
			list.registers[step->result] = result;
		}
	}
	for (;;)
		call(EXIT_GROUP, (u64[6]){255});
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\tand $-16, %rsp\n\tcall start\n");
#else
__asm__(".globl _start\n_start:\n\tbl start\n");
#endif
