/* The guest helper of the Linux guest: hands its command line to the virtual target and prints what that answers.
 *
 * TARGET_SOCKET names the target's Unix socket, where that is not /run/target.sock.
 * Request: every word and a NUL behind it, then the end of the stream. Answer: what goes to standard output, then
 * the end of the stream; none where the request was refused, which target.py has told on the console.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int write_all(int file, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(file, data, length);
        if (written <= 0)
            return -1;
        data += written;
        length -= (size_t)written;
    }
    return 0;
}

int main(int count, char **words)
{
    const char *path = getenv("TARGET_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/target.sock"};
    char answer[4096];
    size_t answered = 0;
    ssize_t got;
    int target = socket(AF_UNIX, SOCK_STREAM, 0);

    if (path != NULL)
        snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (target < 0 || connect(target, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("the virtual target");
        return 2;
    }
    for (int i = 1; i < count; i++)
        if (write_all(target, words[i], strlen(words[i]) + 1) < 0) {
            perror("asking the virtual target");
            return 2;
        }
    shutdown(target, SHUT_WR);
    while ((got = read(target, answer, sizeof answer)) > 0) {
        answered += (size_t)got;
        if (write_all(STDOUT_FILENO, answer, (size_t)got) < 0)
            return 2;
    }
    return answered > 0 ? 0 : 1;
}
