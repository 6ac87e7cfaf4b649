/* C without any Go: pointers to functions, stdio, a child, a name looked up. */
#include <dirent.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static int by_value(const void *one, const void *other) { return *(int *)one - *(int *)other; }

static void on_signal(int number) { (void)number; }

int main(int count, char **words) {
    int numbers[] = {3, 1, 2, 5, 4};
    char line[100];
    struct addrinfo *found;
    qsort(numbers, 5, sizeof *numbers, by_value);
    signal(SIGUSR1, on_signal);
    DIR *folder = opendir("/");
    for (struct dirent *one; folder && (one = readdir(folder));) puts(one->d_name);
    if (folder) closedir(folder);
    FILE *file = fopen("/etc/passwd", "r");
    if (file && fgets(line, sizeof line, file)) puts(line);
    if (file) fclose(file);
    getaddrinfo(count > 1 ? words[1] : "127.0.0.1", "80", 0, &found);
    return system("exit 3") == 3 << 8 ? 0 : 1;
}
