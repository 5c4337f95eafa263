// C++ beside C, as many drivers have it.
#include <NtDDK.h>
#include "Parts\Guard.h"
#include "Sample.h"

namespace {
long g_Depth;
} // namespace

ULONGLONG SampleAverage(ULONGLONG Sum, ULONGLONG Count)
{
    Guard<long> guard{g_Depth};
    return Count == 0 ? 0 : Sum / Count;
}
