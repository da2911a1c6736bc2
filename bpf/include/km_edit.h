#include "km_out.h"
static __always_inline int km_edit_head(__u32 slot, __u32 handle, __u32 edits) { return -1; }
