#include <asm/unistd.h>
#include <linux/futex.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/version.h>
#include <stdio.h>
#include <sys/syscall.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 19, 0)
#error loongarch came with 5.19
#endif

int main(void)
{
	struct io_uring_params params = {0};
	return __NR_getpid != SYS_getpid || params.flags || puts("ok") < 0;
}
