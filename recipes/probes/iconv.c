#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Whether `from` refuses the bytes; what they mean goes to `out`. */
static int refused(const char *from, const char *bytes, size_t n, uint32_t *out)
{
	char in[8], *source = in, *to = (char *)out;
	size_t left = 4;
	iconv_t cd = iconv_open("UCS-4", from);
	memcpy(in, bytes, n);
	int bad = iconv(cd, &source, &n, &to, &left) == (size_t)-1;
	unsigned char *b = (unsigned char *)out;
	*out = (uint32_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
	return bad;
}

int main(void)
{
	uint32_t c = 0;
	/* Beyond EUC-KR's extended rows. */
	if (!refused("EUC-KR", "\xc8\x41", 2, &c)) return 1;
	/* The first of the supplementary planes, and the first four-byte character. */
	if (refused("GB18030", "\x90\x30\x81\x30", 4, &c) || c != 0x10000) return 2;
	if (refused("GB18030", "\x81\x30\x81\x30", 4, &c) || c != 0x80) return 3;
	if (refused("EUC-KR", "\xb0\xa1", 2, &c) || c != 0xac00) return 4;
	return puts("ok") < 0;
}
