// C++ beside C, as many drivers have it.
#include "sample.h"

namespace {
template <typename T> class Guard {
public:
    explicit Guard(T& value) : m_Value(value) { ++m_Value; }
    ~Guard() { --m_Value; }

private:
    T& m_Value;
};
long g_Depth;
} // namespace

ULONGLONG SampleAverage(ULONGLONG Sum, ULONGLONG Count)
{
    Guard<long> guard{g_Depth};
    return Count == 0 ? 0 : Sum / Count;
}
