// The one place where PostgreSQL's C headers enter C++.
//
// PostgreSQL up to 15 defines PGDLLEXPORT empty where the compiler hides symbols by default, so the functions
// that SQL calls would not be found; it is defined here the way 16 and later do.
#pragma once

extern "C" {
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
}

#if PG_VERSION_NUM < 150000
#error "kvcrm needs PostgreSQL 15 or later"
#endif
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

// PostgreSQL's printf replacements are macros that would break std::snprintf and friends in later includes.
#undef snprintf
#undef vsnprintf
#undef sprintf
#undef vsprintf
#undef fprintf
#undef vfprintf
#undef printf
#undef vprintf
#undef strerror
#undef strerror_r
#undef gettext
#undef dgettext
#undef ngettext
#undef dngettext
