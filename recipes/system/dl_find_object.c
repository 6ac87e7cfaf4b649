/*
 * _dl_find_object for musl: GCC's libgcc_eh, where it was built against glibc 2.35 or newer, asks
 * it for the object that holds a code address. Here it is answered with dl_iterate_phdr.
 * The structure is glibc's (dlfcn.h), with the padding of 64-bit and 32-bit machines alike.
 */
#define _GNU_SOURCE
#include <link.h>
#include <stddef.h>

struct dl_find_object {
	unsigned long long flags;
	void *map_start;
	void *map_end;
	struct link_map *link_map;
	void *eh_frame;
#ifdef __i386__
	void *dbase;
	int padding;
#endif
	unsigned long long reserved[7];
};

struct question {
	ElfW(Addr) address;
	struct dl_find_object *answer;
};

static int ask(struct dl_phdr_info *info, size_t size, void *data)
{
	struct question *q = data;
	const ElfW(Phdr) *eh = NULL;
	int holds = 0;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		ElfW(Addr) start = info->dlpi_addr + ph->p_vaddr;
		if (ph->p_type == PT_GNU_EH_FRAME)
			eh = ph;
		if (ph->p_type == PT_LOAD && q->address >= start && q->address - start < ph->p_memsz) {
			holds = 1;
			q->answer->map_start = (void *)start;
			q->answer->map_end = (void *)(start + ph->p_memsz);
		}
	}
	if (!holds || !eh)
		return 0;
	q->answer->eh_frame = (void *)(info->dlpi_addr + eh->p_vaddr);
	q->answer->flags = 0;
	q->answer->link_map = NULL;
	return 1;
}

int _dl_find_object(void *address, struct dl_find_object *answer)
{
	struct question q = { (ElfW(Addr))address, answer };

	return dl_iterate_phdr(ask, &q) ? 0 : -1;
}
