// Doubles of com.unity.localization 1.5: names and signatures are the package's, and `locked.txt` lists them.
// What tests need besides is internal.
using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Tests")]
