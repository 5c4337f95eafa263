/* Suppressions for Microsoft's static analyser, which nothing here runs. */
#pragma once
