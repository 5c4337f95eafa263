#pragma once

template <typename T> class Guard {
public:
    explicit Guard(T& value) : m_Value(value) { ++m_Value; }
    ~Guard() { --m_Value; }

private:
    T& m_Value;
};
