// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* No program: the tables that the daemon fills for the programs that route requests. */
#include "km_route_tables.h"
#include "km_source.h"

char _license[] SEC("license") = "Dual BSD/GPL";
