#include <netdb.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct addrinfo hints, *found;
	memset(&hints, 0, sizeof hints);
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	hints.ai_socktype = SOCK_STREAM;
	if (getaddrinfo("127.0.0.1", "80", &hints, &found) || found->ai_family != AF_INET) return 1;
	freeaddrinfo(found);
	if (getaddrinfo("::1", "80", &hints, &found) || found->ai_family != AF_INET6) return 2;
	freeaddrinfo(found);
	return puts("ok") < 0;
}
