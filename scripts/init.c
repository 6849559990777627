/*
 * A container's init: it runs the program it is given, hands every signal on to it, reaps every orphan,
 * and ends as the program did.
 *
 *     init PROGRAM [ARGUMENT...]
 *
 * No library, no memory but the stack, no file but what it executes. `scripts/build-init` makes it into
 * src/orlop/engine/init_code.py.
 */

#define SIG_SETMASK 2
#define SIGCHLD 17
#define SIGTTIN 21
#define SIGTTOU 22
#define WNOHANG 1
#define TIOCSPGRP 0x5410
#define ENOENT 2
#define EACCES 13
#define ENOTDIR 20

typedef long word;
typedef unsigned long set;

#if defined __x86_64__
enum { IOCTL = 16, PROCMASK = 14, EXECVE = 59, EXIT_GROUP = 231, WAIT4 = 61, KILL = 62, SETPGID = 109,
       SIGTIMEDWAIT = 128, CLONE = 56, GETPID = 39, WRITE = 1 };

static inline word call(word number, word a, word b, word c, word d)
{
    word result;
    register word r10 __asm__("r10") = d;
    register word r8 __asm__("r8") = 0;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call run\n");

#elif defined __aarch64__
enum { IOCTL = 29, PROCMASK = 135, EXECVE = 221, EXIT_GROUP = 94, WAIT4 = 260, KILL = 129, SETPGID = 154,
       SIGTIMEDWAIT = 137, CLONE = 220, GETPID = 172, WRITE = 64 };

static inline word call(word number, word a, word b, word c, word d)
{
    register word x8 __asm__("x8") = number;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    register word x4 __asm__("x4") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}

__asm__(".globl _start\n_start: mov x0, sp\n bl run\n");
#endif

/* execvp(3): a name without a slash is looked for in PATH. Returns the last errno that says why not. */
static int execute(char **arguments, char **environment)
{
    static const char nowhere[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    const char *name = arguments[0], *path = nowhere;
    char candidate[4096];
    word length = 0, error = -ENOENT, denied = 0;

    for (; name[length]; length++)
        if (name[length] == '/')
            return -call(EXECVE, (word)name, (word)arguments, (word)environment, 0);
    for (char **each = environment; *each; each++)
        if ((*each)[0] == 'P' && (*each)[1] == 'A' && (*each)[2] == 'T' && (*each)[3] == 'H' && (*each)[4] == '=') {
            path = *each;
            break;
        }
    for (path += 5; ; path++) {
        word used = 0, at;
        for (; *path && *path != ':'; path++)
            if (used < 2048)
                candidate[used++] = *path;
        if (used && used + length + 2 < (word)sizeof candidate) {
            candidate[used++] = '/';
            for (at = 0; at <= length; at++)
                candidate[used + at] = name[at];
            error = call(EXECVE, (word)candidate, (word)arguments, (word)environment, 0);
            if (error == -EACCES)
                denied = 1;
            else if (error != -ENOENT && error != -ENOTDIR)
                break;
        }
        if (!*path)
            break;
    }
    return denied ? EACCES : -error;
}

static void say(const char *text)
{
    word length = 0;

    while (text[length])
        length++;
    call(WRITE, 2, (word)text, length, 0);
}

__attribute__((noreturn)) static void leave(word status)
{
    for (;;)
        call(EXIT_GROUP, status, 0, 0, 0);
}

__attribute__((noreturn, used)) void run(word *stack)
{
    char **arguments = (char **)stack + 1;
    char **environment = arguments + stack[0] + 1;
    set every = ~0ul, before;
    char info[128];
    word program, signal, pid;
    int status, own, error;

    call(PROCMASK, SIG_SETMASK, (word)&every, (word)&before, sizeof every);
    program = call(CLONE, SIGCHLD, 0, 0, 0);
    if (program == 0) {
        /* A group of its own in the foreground, so that the terminal's keys reach it and not us. */
        call(SETPGID, 0, 0, 0, 0);
        own = call(GETPID, 0, 0, 0, 0);
        call(IOCTL, 0, TIOCSPGRP, (word)&own, 0);
        call(PROCMASK, SIG_SETMASK, (word)&before, 0, sizeof before);
        error = stack[0] > 1 ? execute(arguments + 1, environment) : ENOENT;
        say("init: ");
        say(stack[0] > 1 ? arguments[1] : "no program");
        say(error == ENOENT || error == ENOTDIR ? ": no such file or directory\n" : ": cannot be executed\n");
        leave(error == ENOENT || error == ENOTDIR ? 127 : 126);
    }
    if (program < 0)
        leave(125);
    for (;;) {
        signal = call(SIGTIMEDWAIT, (word)&every, (word)info, 0, sizeof every);
        if (signal != SIGCHLD) {
            /* What the terminal tells of the background is about us alone. */
            if (signal > 0 && signal != SIGTTIN && signal != SIGTTOU)
                call(KILL, program, signal, 0, 0);
            continue;
        }
        while ((pid = call(WAIT4, -1, (word)&status, WNOHANG, 0)) > 0)
            if (pid == program)
                leave(status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff);
    }
}
