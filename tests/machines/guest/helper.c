/* The guest helper of the Linux guest: hands its command line to the virtual target and prints what that answers.
 *
 * TARGET_SOCKET names the target's Unix socket, where that is not /run/target.sock.
 * Request: every word and a NUL behind it, then the end of the stream. Answer: what goes to standard output, then
 * the end of the stream; none where the request was refused, which target.py has told on the console.
 *
 * There is no C library in it: building one would take longer than all else that the guest is made of. Source of
 * the numbers: Linux, arch/x86/entry/syscalls/syscall_64.tbl; System V ABI, AMD64 supplement (initial stack).
 */
enum { SYS_READ = 0, SYS_WRITE = 1, SYS_SOCKET = 41, SYS_CONNECT = 42, SYS_SHUTDOWN = 48, SYS_EXIT = 60 };
enum { STANDARD_OUTPUT = 1, STANDARD_ERROR = 2, AF_UNIX = 1, SOCK_STREAM = 1, SHUT_WR = 1 };

static struct {
    unsigned short family;
    char path[108];
} address = {AF_UNIX, "/run/target.sock"};
static char answer[4096];

static long call(long number, long first, const void *second, long third)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
}

static long length_of(const char *text)
{
    long length = 0;
    while (text[length] != 0)
        length++;
    return length;
}

static int write_all(long file, const char *data, long length)
{
    while (length > 0) {
        long written = call(SYS_WRITE, file, data, length);
        if (written <= 0)
            return -1;
        data += written;
        length -= written;
    }
    return 0;
}

static int fail(const char *message)
{
    write_all(STANDARD_ERROR, message, length_of(message));
    return 2;
}

/* The value of an environment entry, where it is that of the variable. */
static const char *value_of(const char *entry, const char *variable)
{
    while (*variable != 0)
        if (*entry++ != *variable++)
            return 0;
    return *entry == '=' ? entry + 1 : 0;
}

static int ask(char **words, char **environment)
{
    long answered = 0, got, target;

    for (; *environment != 0; environment++) {
        const char *path = value_of(*environment, "TARGET_SOCKET");
        if (path == 0)
            continue;
        if (length_of(path) >= (long)sizeof address.path)
            return fail("the name of the virtual target's socket is too long\n");
        for (long i = 0; (address.path[i] = path[i]) != 0; i++)
            ;
    }
    target = call(SYS_SOCKET, AF_UNIX, (const void *)SOCK_STREAM, 0);
    if (target < 0 || call(SYS_CONNECT, target, &address, sizeof address) < 0)
        return fail("the virtual target does not listen\n");
    for (; *words != 0; words++)
        if (write_all(target, *words, length_of(*words) + 1) < 0)
            return fail("the virtual target cannot be asked\n");
    call(SYS_SHUTDOWN, target, (const void *)SHUT_WR, 0);
    while ((got = call(SYS_READ, target, answer, sizeof answer)) > 0) {
        answered += got;
        if (write_all(STANDARD_OUTPUT, answer, got) < 0)
            return 2;
    }
    return answered > 0 ? 0 : 1;
}

/* stack: the number of words, the words, 0, the environment's entries, 0. */
__attribute__((used)) static void begin(long *stack)
{
    char **words = (char **)(stack + 1);
    call(SYS_EXIT, ask(words + 1, words + *stack + 1), 0, 0);
}

__asm__(".globl _start\n_start:\n    mov %rsp, %rdi\n    and $-16, %rsp\n    call begin\n");
