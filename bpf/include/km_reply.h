#include "km_out.h"
static __always_inline int km_reply(__u32 slot, __u32 status, __u32 close) {
	static const char t[] = "HTTP/1.1 404 Not Found\r\nserver: kmesh\r\ncontent-length: 0\r\n\r\n";
	struct km_out *out = km_out_slot(slot);
	if (!out) return -1;
	__builtin_memcpy(out->text, t, sizeof(t)-1);
	out->bytes = sizeof(t)-1;
	return 0; }
static __always_inline int km_reply_action(__u32 slot, __u32 handle, __u32 action, __u32 close) { return -1; }
